"""The components of maskwright-samples. Importing this file imports nothing but maskwright."""

from maskwright import Component, hookimpl

MASKWRIGHT_API = 1

_TEXT = "maskwright_samples.params_text"
_IMAGES = "maskwright_samples.params_images"
_TABLES = "maskwright_samples.params_tables"


@hookimpl
def maskwright_datasets():
    yield Component(
        "docstrings",
        f"{_TEXT}:Docstrings",
        "Technical English: cleaned docstrings of the installed packages",
        provides={"text", "package", "module", "name"},
    )
    yield Component(
        "docstring-tasks",
        f"{_TEXT}:DocstringTasks",
        "Tasks on docstrings: topic, pairs, pick-one, param-type, param-qa, summary",
    )
    yield Component(
        "docstring-search",
        f"{_TEXT}:DocstringSearch",
        "Search among docstrings: known item or See Also links",
        provides={"document", "query", "relevant", "by-id"},
    )
    yield Component(
        "glyphs",
        f"{_IMAGES}:Glyphs",
        "Drawings of named characters in twelve faces, four more as far domain",
        provides={"pixels", "caption", "aliases", "face"},
    )
    yield Component(
        "digits",
        f"{_IMAGES}:Digits",
        "scikit-learn's scanned digits, 8x8, in file order",
        provides={"pixels", "label"},
    )
    yield Component(
        "sklearn-photos",
        f"{_IMAGES}:SklearnPhotos",
        "Crops of scikit-learn's two photographs, left against right half",
        provides={"pixels", "label"},
    )
    yield Component(
        "wine-by-class",
        f"{_TABLES}:WineByClass",
        "Three wine cultivars as three tables of 13 measurements",
        provides={"task", "samples", "variables"},
    )
    yield Component(
        "iris-by-species",
        f"{_TABLES}:IrisBySpecies",
        "Three iris species as three tables of 4 measurements",
        provides={"task", "samples", "variables"},
    )


@hookimpl
def maskwright_pipelines():
    yield Component(
        "tfidf",
        f"{_TEXT}:TfIdf",
        "Text to a sparse TF-IDF vector",
        provides={"vector", "fitted"},
        consumes={"text"},
    )


@hookimpl
def maskwright_evaluators():
    yield Component(
        "known-item",
        f"{_TEXT}:KnownItem",
        "Rank documents by the vectors of any text pipeline: nDCG, MRR, recall",
        consumes={"document", "query", "relevant"},
        expects={"vector"},
    )
    yield Component(
        "classification",
        f"{_TEXT}:Classification",
        "Logistic regression on the vectors of any pipeline: accuracy, macro-F1",
        consumes={"label"},
        expects={"vector"},
    )


@hookimpl
def maskwright_recipes():
    home = "maskwright_samples:recipes"
    yield Component("search-baseline", f"{home}/search-baseline.toml", "TF-IDF on known-item search")
    yield Component("topic-baseline", f"{home}/topic-baseline.toml", "TF-IDF on the topic of docstrings")
