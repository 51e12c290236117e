"""Two hundred malformed plugins, each a distribution of one module, and what has to be said about each of them."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs

VERSION = "0.2"

HEAD = "from maskwright import Component, hookimpl\nfrom maskwright.params import params, setting, slot\n"
API = "MASKWRIGHT_API = 1\n"
KINDS = ("masker", "encoder", "objective", "evaluator", "codec", "schedule", "pipeline", "recipe")


@attrs.frozen
class Plugin:
    """A module that an entry point names."""

    name: str
    text: str
    stage: str
    """Where it fails: load, handshake, hooks, register, declare; `use` where only who uses its data set hears of it."""
    words: tuple[str, ...]
    """What the refusal holds beside the distribution and its version."""
    entry: str = ""
    """`module:attribute` of the entry point, if it is not the module alone."""
    more: str = ""
    """Text of a second module, NAME_params."""

    @property
    def distribution(self) -> str:
        return self.name.replace("_", "-")

    @property
    def component(self) -> str:
        """Name of the data set that it declares, or would."""
        return self.distribution

    def install(self, site: Path) -> None:
        info = site / f"{self.name}-{VERSION}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {self.distribution}\nVersion: {VERSION}\n"
        )
        (info / "entry_points.txt").write_text(f"[maskwright]\n{self.name} = {self.entry or self.name}\n")
        (site / f"{self.name}.py").write_bytes(self.text.encode("latin-1"))
        if self.more:
            (site / f"{self.name}_params.py").write_text(self.more)


def declaring(lines: str, kind: str = "dataset", arguments: str = "") -> str:
    """The text of a plugin with one hook; `lines` are its body."""
    body = "".join(f"    {line}\n" for line in lines.splitlines())
    return f"{HEAD}{API}\n\n@hookimpl\ndef maskwright_{kind}s({arguments}):\n{body}"


A = "'a'"
GOOD = "'maskwright.data_params:Subset'"


def component(name: str, target: str = GOOD, more: str = "", summary: str = "'one line'") -> str:
    return f"Component({name}, {target}, {summary}{', ' + more if more else ''})"


def while_loading(name: str) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """(text, words, entry)"""
    kinds = (
        "RuntimeError",
        "ValueError",
        "KeyError",
        "OSError",
        "AssertionError",
        "TypeError",
        "RecursionError",
    )
    kinds += (
        "AttributeError",
        "ZeroDivisionError",
        "StopIteration",
        "ImportError",
        "MemoryError",
        "UserWarning",
    )
    for kind in kinds:
        yield f"raise {kind}('no luck today')\n", (f"{kind}: ", "no luck today"), ""
    for code in ("0", "1", "'goodbye'", "None"):
        yield f"import sys\nsys.exit({code})\n", ("SystemExit: ",), ""
    for text in (
        "def",
        "x = = 1",
        "(",
        "  x = 1",
        "x = '",
        "return 1",
        "x = 5y",
        "\0",
        "# -*- coding: no -*-",
        "x = '\xff'\n",
    ):
        yield text, ("Error: ",), ""
    for text in ("import frobnicate", "import frobnicate.core", "from frobnicate import a"):
        yield text, ("ModuleNotFoundError: No module named 'frobnicate'",), ""
    for text in ("from maskwright import Komponent", "from . import other", "from maskwright.gone import x"):
        yield text, ("Error: ",), ""
    yield API, ("AttributeError: ", "gone"), f"{name}:gone"
    yield API, ("ModuleNotFoundError: No module named 'no_such_module'",), "no_such_module"


def at_the_handshake(name: str) -> Iterator[tuple[str, tuple[str, ...], str]]:
    yield "", ("MASKWRIGHT_API is missing", f"the author adds MASKWRIGHT_API = 1 to {name}"), ""
    yield "MASKWRIGHT_API = None\n", ("MASKWRIGHT_API is missing",), ""
    for number in ("2", "99", "10 ** 30"):
        yield f"MASKWRIGHT_API = {number}\n", ("made for API ", "pip install -U maskwright"), ""
    for number in ("0", "-1", "'1'", "'one'", "1.5", "[1]", "(1,)", "{}", "b'1'", "object"):
        yield f"MASKWRIGHT_API = {number}\n", ("made for API ", "this maskwright ", "has API 1"), ""
    # What the entry point names may be anything at all.
    yield "thing = 5\n", ("MASKWRIGHT_API is missing",), f"{name}:thing"
    yield "def thing(): pass\n", ("MASKWRIGHT_API is missing",), f"{name}:thing"


def with_unknown_hooks(name: str) -> Iterator[tuple[str, tuple[str, ...], str]]:
    for hook in ("maskers_", "datasetz", "optimisers", "schedulers", "run_ended", "x", "Datasets"):
        text = f"{HEAD}{API}\n@hookimpl\ndef maskwright_{hook}():\n    return []\n"
        yield text, (f"unknown hook maskwright_{hook}", "or made for a newer maskwright (this is "), ""


def with_unknown_arguments(name: str) -> Iterator[tuple[str, tuple[str, ...], str]]:
    for kind in (*KINDS, "dataset"):
        yield (
            declaring("return []", kind, "colour"),
            ("{'colour'}", "or it was made for a newer maskwright"),
            "",
        )
    text = f"{HEAD}{API}\n@hookimpl\ndef maskwright_metrics(run, steps):\n    pass\n"
    yield text, ("{'steps'}", "or it was made for a newer maskwright"), ""


def while_declaring(name: str) -> Iterator[tuple[str, tuple[str, ...], str]]:
    for kind, error in itertools.product(
        ("dataset", "recipe"), ("RuntimeError", "KeyError", "SystemExit", "OSError")
    ):
        yield declaring(f"raise {error}('halfway')", kind), (f"{error}: ", "halfway"), ""
    for value in ("None", "5", "True", "object", component("'a'")):
        yield declaring(f"return {value}"), ("TypeError: ", "iterable"), ""
    for value in ("'cosine'", "5", "None", "Component", "('a', 'b', 'c')", "{'name': 'a'}", "b''"):
        yield declaring(f"yield {value}"), ("maskwright_datasets gave ", " instead of a Component"), ""
    yield declaring("return 'cosine'"), ("maskwright_datasets gave 'c' instead of a Component",), ""
    for arguments in (
        "'a'",
        "",
        "'a', 'b:C'",
        "'a', 'b:C', 'one', tags={'x'}",
        "'a', 'b:C', 'one', {'text'}, {'x'}, set(), '', '', 1",
    ):
        yield declaring(f"yield Component({arguments})"), ("TypeError: ", "argument"), ""
    for bad in (
        "''",
        "'Acme'",
        "'1abc'",
        "'a_b'",
        "'a b'",
        "'\\xe4'",
        "'a\\n'",
        "'-a'",
        "'a@b'",
        "'a:b'",
        "'a.b'",
        "'../a'",
    ):
        yield (
            declaring(f"yield {component(bad)}"),
            (" is no component name", "use a-z, 0-9 and -, beginning"),
            "",
        )
    for bad in ("5", "None", "['a']", "b'a'"):
        yield declaring(f"yield {component(bad)}"), ("name of a Component: expected text, found ",), ""
    for bad in ("5", "None", "print"):
        yield declaring(f"yield {component(A, bad)}"), ("params of dataset:a: expected text, found ",), ""
    for bad in (
        "''",
        "'a'",
        "'a.b'",
        "'a.b:'",
        "':B'",
        "':'",
        "'a.b:c.'",
        "'a b:C'",
        "'a.b:C:D'",
        "'a/b.py:C'",
        "'a.b:lists.toml'",
    ):
        yield (
            declaring(f"yield {component(A, bad)}"),
            ("params of dataset:a is ", 'write "package.module:Class"'),
            "",
        )
    for bad in ("''", "'  '", "'two\\nlines'", "'two\\rlines'", "'\\x1b[2J'"):
        text = component("'a'", summary=bad)
        yield declaring(f"yield {text}"), ("summary of dataset:a is ", "write one line of text"), ""
    for word, bad in itertools.product(("summary", "paper", "deprecated"), ("5", "None", "['a']")):
        text = f"Component('a', {GOOD}, **{{'summary': 'one', '{word}': {bad}}})"
        yield declaring(f"yield {text}"), (f"{word} of dataset:a: expected text, found ",), ""
    for word in ("provides", "consumes", "expects"):
        for bad, said in (
            ("'text'", "expected a set of words, found the text 'text'; write {'text'}"),
            ("5", "expected a set of words, found 5"),
            ("None", "expected a set of words, found None"),
            ("[['text']]", "expected a set of words, found [['text']]"),
            ("{5}", "expected a set of words, found {5}"),
            ("{''}", "expected a set of words, found {''}"),
        ):
            yield declaring(f"yield {component(A, more=f'{word}={bad}')}"), (f"TypeError: {said}",), ""
    for kind in ("dataset", "masker", "recipe"):
        yield declaring(f"return 2 * [{component(A)}]", kind), (f"{kind}:a is declared twice by ",), ""


def tags_that_nobody_knows(name: str) -> Iterator[tuple[str, tuple[str, ...], str]]:
    for kind, tag in (
        ("encoder", "poold"),
        ("objective", "stateful2"),
        ("masker", "fast"),
        ("schedule", "per_row"),
    ):
        text = declaring(f"yield {component(A, more=f'provides={{{tag!r}}}')}", kind)
        yield text, (f'{kind}:a provides the unknown tag "{tag}"', "vendor:tag"), ""


def settings_that_cannot_be_used(name: str) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """(second module, words, what `params` names; empty: its class Settings)"""
    own = f"{name}_params"
    bad = ("ModuleNotFoundError: No module named 'no_such'",)
    yield "", bad, "no_such.params:X"
    yield "", (f"ModuleNotFoundError: No module named '{own}'",), ""
    for attribute in ("Gone", "settings", "_"):
        yield "class Settings: pass\n", (f"has no attribute '{attribute}'",), f"{own}:{attribute}"
    for error in ("RuntimeError", "KeyError", "SystemExit", "ImportError"):
        yield f"raise {error}('no luck today')\n", (f"{error}: ", "no luck today"), ""
    yield (
        "import frobnicate\n",
        ("ModuleNotFoundError: No module named 'frobnicate'", "--force-reinstall"),
        "",
    )
    yield "def Settings(:\n", ("SyntaxError: ",), ""
    no_params = "is no Params class"
    for text in (
        "Settings = 5",
        "Settings = None",
        "def Settings(): pass",
        "class Settings: pass",
        "Settings = 'x'",
    ):
        yield f"{text}\n", (no_params,), ""
    yield "import attrs\n\n\n@attrs.define\nclass Settings:\n    a: int = 5\n", (no_params,), ""
    yield settings("a: int = setting(5, help='a')") + "Settings = Settings()\n", (no_params,), ""
    for line, words in (
        ("a: int = 5", "TypeError: Settings.a: declare it with setting(...) or slot(...)"),
        ("a: int", "TypeError: Settings.a: declare it with setting(...) or slot(...)"),
        ("a = setting(5, help='a')", "TypeError: Settings.a: write its type, a: TYPE = …"),
        ("a: 'Gone' = setting(5, help='a')", "NameError: name 'Gone' is not defined"),
        (
            "a: int = setting('x', help='a')",
            'the default of a would be refused: expected whole number, found "x" (text)',
        ),
        (
            "a: int = setting(None, help='a')",
            "the default of a would be refused: expected whole number, found none",
        ),
        ("a: int = setting(3, ge=5, help='a')", "the default of a would be refused: must be >= 5, found 3"),
        (
            "a: list[int] = setting(['x'], help='a')",
            "the default of a would be refused: entry 1: expected whole number",
        ),
        ("a: int = setting(3)", "missing 1 required keyword-only argument: 'help'"),
        ("a: int = setting(3, help='a', most=5)", "unexpected keyword argument 'most'"),
        (
            "a: object = slot('gizmo', help='a')",
            'the slot "a" is for a "gizmo", which is no kind of component',
        ),
        ("a: object = slot(('masker', 'maskers'), help='a')", 'is for a "maskers", which is no kind'),
        ("a: object = slot('dataset', needs=5, help='a')", "TypeError: 'int' object is not iterable"),
        ("a: object = slot(5, help='a')", "TypeError: 'int' object is not iterable"),
        ("a: object = slot('dataset')", "missing 1 required keyword-only argument: 'help'"),
        ("a: object = slot(help='a')", "missing 1 required positional argument: 'kinds'"),
        ("a: object = slot('', help='a')", 'the slot "a" is for a "", which is no kind of component'),
        (
            "a: float = setting(float('nan'), help='a')",
            "the default of a would be refused: expected a finite number, found nan",
        ),
        (
            "a: bool = setting(1, help='a')",
            "the default of a would be refused: expected true or false, found 1 (whole number)",
        ),
        (
            "a: tuple[int, str] = setting((1,), help='a')",
            "the default of a would be refused: expected 2 entries",
        ),
        (
            "a: dict[str, int] = setting({'b': 'c'}, help='a')",
            'the default of a would be refused: "b": expected whole number',
        ),
        (
            "a: int | None = setting('x', help='a')",
            "the default of a would be refused: expected whole number or none",
        ),
        (
            "a: float = setting([2.0, 9.0], le=1, help='a')",
            "the default of a would be refused: expected number, found [2.0, 9.0] (list)",
        ),
        (
            "a: list[float] = setting([2.0, 9.0], le=5, help='a')",
            "the default of a would be refused: must be <= 5, found 9.0",
        ),
    ):
        yield settings(line), (words,), ""


def settings(line: str) -> str:
    return f"from maskwright.params import params, setting, slot\n\n\n@params\nclass Settings:\n    {line}\n"


Made = Callable[[str], Iterator[tuple[str, tuple[str, ...], str]]]
FAMILIES: dict[str, Made] = {
    "load": while_loading,
    "handshake": at_the_handshake,
    "hooks": with_unknown_hooks,
    "register": with_unknown_arguments,
    "declare": while_declaring,
    "tags": tags_that_nobody_knows,
}
"""Stage at which they fail -> how they are made."""


def plugins(stage: str) -> list[Plugin]:
    if stage == "use":
        return list(_with_bad_settings())
    names = (f"acme_{stage}_{number}" for number in itertools.count())
    # The texts name their own module, which is called by its number.
    count = sum(1 for _ in FAMILIES[stage]("x"))
    made = [
        (name, list(FAMILIES[stage](name))[number]) for number, name in zip(range(count), names, strict=False)
    ]
    return [Plugin(name, text, stage, words, entry) for name, (text, words, entry) in made]


def _with_bad_settings() -> Iterator[Plugin]:
    for number in range(len(list(settings_that_cannot_be_used("x")))):
        name = f"acme_use_{number}"
        more, words, target = list(settings_that_cannot_be_used(name))[number]
        target = target or f"{name}_params:Settings"
        text = declaring(f"yield {component(repr(name.replace('_', '-')), repr(target))}")
        yield Plugin(name, text, "use", (*words, f"{target} of {name.replace('_', '-')} {VERSION}"), "", more)
