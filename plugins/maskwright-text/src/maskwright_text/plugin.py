"""What this plugin brings. Imports nothing but maskwright."""

from maskwright import Component, hookimpl

MASKWRIGHT_API = 1

_MRD = "arXiv:2208.10806"
_PMLM = "arXiv:2002.12804"
_MODELS = "maskwright_text.params_models"
_MASKERS = "maskwright_text.params_maskers"
_RECIPES = {
    "mlm": "pre-train a small language model on technical English",
}
_ENCODER = frozenset({"torch", "tokens", "vocabulary", "pooled", "hides:replace"})


@hookimpl
def maskwright_codecs():
    yield Component("subwords", f"{_MODELS}:Subwords", "a tokenizer trained on the data", provides={"fitted"})
    yield Component("tokenizer", f"{_MODELS}:Tokenizer", "a tokenizer from a folder or tokenizer.json")


@hookimpl
def maskwright_encoders():
    yield Component(
        "text", f"{_MODELS}:TextEncoder", "transformer over tokens; hidden ones enter as mask tokens",
        provides=_ENCODER | {"takes:attention"}, consumes={"text"}, paper="arXiv:1810.04805",
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


@hookimpl
def maskwright_objectives():
    yield Component(
        "mlm", f"{_MODELS}:Mlm", "predict hidden tokens (masked language model)",
        provides={"torch", "fills"}, consumes={"text"}, paper=_MRD,
    )  # fmt: skip


@hookimpl
def maskwright_recipes():
    for name, summary in _RECIPES.items():
        yield Component(name, f"maskwright_text:recipes/{name}.toml", summary)
