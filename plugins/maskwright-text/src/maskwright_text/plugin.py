"""What this plugin brings. Imports nothing but maskwright."""

from maskwright import Component, hookimpl

MASKWRIGHT_API = 1

_MRD = "arXiv:2208.10806"
_PMLM = "arXiv:2002.12804"
_MODELS = "maskwright_text.params_models"
_MASKERS = "maskwright_text.params_maskers"
_DATA = "maskwright_text.params_data"
_EVALUATORS = "maskwright_text.params_evaluators"
_PSEUDO = "maskwright_text.params_pmlm"
_WRITERS = "maskwright_text.params_seq2seq"
_RECIPES = {
    "pmlm-summarise": "fine-tune a small model to write the summary line of a docstring",
    "pmlm": "pre-train one small model that reads and writes, on technical English",
    "pmlm-classify": "fine-tune a run of pmlm or mlm to tell what a docstring is about",
    "pmlm-questions": "fine-tune a small model to ask about a paragraph (by path)",
    "pmlm-experiment-joint": "experiment: blocks in order learn what belongs together",
    "pmlm-experiment-unified": "experiment: what each of the two losses teaches a reader and a writer",
    "pmlm-experiment-summaries": "experiment: summary lines with and without pre-training",
    "mlm": "pre-train a small language model on technical English",
    "mlm-scheduled": "the same with a falling ratio, and hard words hidden more often",
    "masking-experiment": "experiment: does a falling ratio help",
    "masking-experiment-warm": "experiment: does it help a model that has converged",
    "masking-experiment-weights": "experiment: hard words hidden more often",
    "masking-experiment-english": "experiment: falling ratios and weights on English text",
    "mlm-experiment-downstream": "experiment: what pre-training is worth to a classifier",
}
_ENCODER = frozenset(
    {"torch", "tokens", "vocabulary", "pooled", "hides:replace", "takes:attention", "prunable"}
)


@hookimpl
def maskwright_codecs():
    yield Component("subwords", f"{_MODELS}:Subwords", "a tokenizer trained on the data", provides={"fitted"})
    yield Component("tokenizer", f"{_MODELS}:Tokenizer", "a tokenizer from a folder or tokenizer.json")


@hookimpl
def maskwright_datasets():
    text = {"text"}
    yield Component("lines", f"{_DATA}:Lines", "plain text, one document a line", provides=text)
    yield Component(
        "documents", f"{_DATA}:Documents", "plain text, blank lines between documents or a file for each",
        provides=text,
    )  # fmt: skip
    yield Component("json-lines", f"{_DATA}:JsonLines", "one JSON object a line, columns by name")
    yield Component("csv", f"{_DATA}:Csv", "a CSV or TSV file with a header, columns by name")
    yield Component("arrow", f"{_DATA}:Arrow", "a folder that datasets saved, .arrow or .parquet files")
    yield Component(
        "conllu", f"{_DATA}:Conllu", "sentences with gold tags (Universal Dependencies)",
        provides=text | {"tags"},
    )  # fmt: skip
    yield Component(
        "squad", "maskwright_text.params_squad:Squad",
        "questions and answers about paragraphs (SQuAD JSON), to be written",
        provides=text | {"summary", "question", "answer"}, paper="arXiv:1606.05250",
    )  # fmt: skip
    yield Component("passages", f"{_DATA}:Passages", "texts joined and cut into passages of about one length")
    yield Component(
        "tagged", f"{_DATA}:Tagged", "a Universal POS tag for each word, by a tagger", provides={"tags"}
    )
    yield Component(
        "topic-chains", "maskwright_text.params_generated:TopicChains",
        "generated: function words between content words that follow a topic", provides=text | {"tags"},
    )  # fmt: skip
    yield Component(
        "tied-words", "maskwright_text.params_generated:TiedWords",
        "generated: random words, then the same once more", provides=text, paper=_PMLM,
    )  # fmt: skip
    yield Component(
        "key-values", "maskwright_text.params_generated:KeyValues",
        "generated: key-value pairs with a class, and a span to write as it stands or backwards",
        provides=text | {"label", "summary"}, paper=_PMLM,
    )  # fmt: skip


@hookimpl
def maskwright_encoders():
    yield Component(
        "text", f"{_MODELS}:TextEncoder", "transformer over tokens; hidden ones enter as mask tokens",
        provides=_ENCODER, consumes={"text"}, paper="arXiv:1810.04805",
    )  # fmt: skip
    yield Component(
        "hf-text", "maskwright_text.params_foreign:HfText",
        "BERT, RoBERTa, ELECTRA, ModernBERT … from a transformers folder", provides=_ENCODER, consumes={"text"},
    )  # fmt: skip


@hookimpl
def maskwright_maskers():
    text, hides = {"tokens"}, {"torch", "follows-ratio"}
    yield Component("tokens", f"{_MASKERS}:Tokens", "any token alike", provides={"torch"}, expects=text)
    yield Component(
        "whole-word", f"{_MASKERS}:WholeWord", "any word alike, words hidden whole",
        provides=hides | {"inexact-count"}, expects=text,
    )  # fmt: skip
    yield Component(
        "spans", f"{_MASKERS}:Spans", "spans of geometric length, of tokens or words",
        provides=hides, expects=text, paper="arXiv:1907.10529",
    )  # fmt: skip
    yield Component(
        "weighted", f"{_MASKERS}:Weighted", "hard or rare words more often",
        provides={"torch"}, expects=text, paper=_MRD,
    )  # fmt: skip
    yield Component(
        "pmlm-blocks", f"{_MASKERS}:PmlmBlocks", "ordered blocks of words",
        provides=hides | {"inexact-count"}, expects=text, paper=_PMLM,
    )  # fmt: skip
    yield Component(
        "pairs", f"{_PSEUDO}:Pairs", "two tokens a given distance apart, each a block",
        provides={"torch", "inexact-count"}, expects=text, paper=_PMLM,
    )  # fmt: skip


@hookimpl
def maskwright_objectives():
    yield Component(
        "mlm", f"{_MODELS}:Mlm", "predict hidden tokens (masked language model)",
        provides={"torch", "fills", "text:head"}, consumes={"text"}, paper=_MRD,
    )  # fmt: skip
    yield Component(
        "pmlm", f"{_PSEUDO}:Pmlm", "predict hidden tokens at once and block by block, in one pass",
        provides={"torch", "fills", "text:head"}, consumes={"text"}, paper=_PMLM,
    )  # fmt: skip
    yield Component(
        "seq2seq", f"{_WRITERS}:Seq2Seq", "learn to write summaries and other texts from texts",
        provides={"torch", "generates", "text:head"}, consumes={"text", "summary"}, paper="arXiv:2110.13640",
    )  # fmt: skip


@hookimpl
def maskwright_evaluators():
    text, predicts = {"text"}, {"torch", "fills"}
    yield Component(
        "mlm-loss", f"{_EVALUATORS}:TokenLoss", "loss of hidden tokens under masks that never change",
        consumes=text, expects=predicts,
    )  # fmt: skip
    yield Component(
        "minimal-pairs", f"{_EVALUATORS}:MinimalPairs", "good against bad sentences by pseudo-log-likelihood (BLiMP)",
        consumes=text | {"other"}, expects=predicts, paper="arXiv:1910.14659",
    )  # fmt: skip
    yield Component(
        "mask-report", f"{_EVALUATORS}:MaskReport", "what is hidden as training goes on, drawn on the text",
        consumes=text, expects=predicts, paper=_MRD,
    )  # fmt: skip
    writes, pairs = {"torch", "generates"}, {"text", "summary"}
    yield Component(
        "generation", f"{_WRITERS}:Generation", "ROUGE, BLEU and exact matches of written texts, and examples",
        consumes=pairs, expects=writes,
    )  # fmt: skip
    yield Component(
        "infill", f"{_WRITERS}:Infill", "likelihood of the right texts, with their sources and without",
        consumes=pairs, expects=writes,
    )  # fmt: skip


@hookimpl
def maskwright_pipelines():
    yield Component(
        "show-masks", f"{_EVALUATORS}:ShowMasks", "draw what a masker hides of a text as training goes on",
        provides={"torch", "masks"}, consumes={"text"},
    )  # fmt: skip
    yield Component(
        "show-pseudo", f"{_PSEUDO}:ShowPseudo", "draw the extended input of PMLM for a text, and who reads whom",
        provides={"torch", "layout", "matrix"}, consumes={"text"}, paper=_PMLM,
    )  # fmt: skip
    yield Component(
        "generate", f"{_WRITERS}:Generate", "write a text for each item from its text",
        provides={"torch", "generated", "complete", "score", "source_cut"}, consumes={"text"},
    )  # fmt: skip


@hookimpl
def maskwright_recipes():
    for name, summary in _RECIPES.items():
        yield Component(name, f"maskwright_text:recipes/{name}.toml", summary)
