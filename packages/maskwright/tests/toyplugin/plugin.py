from maskwright import Component, hookimpl

MASKWRIGHT_API = 1
HOME = "toyplugin.params"


@hookimpl
def maskwright_datasets():
    yield Component("toy-lines", f"{HOME}:Lines", "short texts", provides={"text"})
    yield Component("toy-pairs", f"{HOME}:Pairs", "texts under other names", provides={"query", "document"})


@hookimpl
def maskwright_encoders():
    yield Component(
        "toy-counts",
        f"{HOME}:Counts",
        "fitted word counts",
        provides={"pooled", "fitted"},
        consumes={"text"},
    )
    yield Component("toy-hash", f"{HOME}:Hash", "a hash of the text", provides={"pooled"}, consumes={"text"})
    yield Component(
        "toy-queue", f"{HOME}:Queue", "remembers", provides={"pooled", "stateful"}, consumes={"text"}
    )
    yield Component("toy-bare", f"{HOME}:Bare", "can do nothing", consumes={"text"})
    yield Component("toy-wrapped", f"{HOME}:Wrapped", "passes on what the inner one can do")


@hookimpl
def maskwright_maskers():
    yield Component("toy-patches", f"{HOME}:Patches", "wants patches", expects={"patches"})


@hookimpl
def maskwright_objectives():
    yield Component("toy-loss", f"{HOME}:Loss", "a number that falls")
    yield Component("toy-match", f"{HOME}:Match", "two texts through one encoder")
    yield Component("toy-hide", f"{HOME}:Hide", "hides units of its encoder")
    yield Component("toy-pure", f"{HOME}:Pure", "refuses what remembers")


@hookimpl
def maskwright_evaluators():
    yield Component(
        "toy-score",
        f"{HOME}:Score",
        "a score for each text",
        consumes={"text", "label"},
        expects={"pooled"},
    )
    yield Component("toy-vectors", f"{HOME}:Vectors", "judges vectors", expects={"vector"})


@hookimpl
def maskwright_pipelines():
    yield Component(
        "toy-embed", f"{HOME}:Embed", "text in, vector out", provides={"vector"}, consumes={"text"}
    )
    yield Component("toy-shout", f"{HOME}:Shout", "capitals", provides={"loud"}, consumes={"text"})


@hookimpl
def maskwright_recipes():
    yield Component("toy-train", f"{HOME}:Train", "steps, checkpoints, metrics")
    yield Component("toy-quick", "toyplugin:quick.toml", "a shipped file")
