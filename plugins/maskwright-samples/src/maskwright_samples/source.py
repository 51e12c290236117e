"""Docstrings of installed packages, read from their source with `ast`: nothing is imported or run."""

import ast
import importlib.metadata
import importlib.util
import platform
import sysconfig
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from inspect import cleandoc
from pathlib import Path

import attrs

# Walked in this order whatever order is asked for: of equal texts the first stays, so the order decides which.
PACKAGES = ("stdlib", "numpy", "scipy", "sklearn", "networkx", "torch")
_DISTRIBUTION = {"sklearn": "scikit-learn"}  # where the import name is not the distribution's

_SKIPPED_FOLDERS = frozenset(
    {"test", "tests", "testing", "_testing", "idlelib", "lib2to3", "turtledemo", "ensurepip"}
    | {"site-packages", "dist-packages", "__pycache__"}
)
# Code of other projects carried along: its texts would be counted under the wrong package.
_VENDORED = frozenset(
    {"externals", "_external", "_vendor", "array_api_compat", "array_api_extra", "distutils"}
    | {"cobyqa", "pyprima", "_decomp_update"}
)
_SHORTEST_LITERAL = 80  # characters; shorter constants in add_newdoc calls are names and places


@attrs.frozen
class Record:
    """One module, class or function that has a docstring."""

    package: str  # "numpy"; "stdlib" for the standard library
    module: str  # "numpy.linalg"
    name: str  # qualified name inside the module, "" for the module itself
    kind: str  # module, class, function, literal (text handed to add_newdoc)
    arguments: tuple[str, ...]
    text: str  # the docstring, indentation removed

    @property
    def id(self) -> str:
        return f"{self.module}:{self.name}" if self.name else self.module


def installed(packages: Sequence[str]) -> dict[str, str]:
    """Version of each package of the list that is here, in walking order."""
    return {name: _version(name) for name in PACKAGES if name in packages and _root(name) is not None}


def records(package: str, literals: bool = False) -> Iterator[Record]:
    """All records of one installed package, in the order of its sorted file paths.

    With `literals` also the texts that compiled functions get by add_newdoc or add_docstr.
    """
    root = _root(package)
    if root is None:
        return
    prefix = "" if package == "stdlib" else package
    yield from records_below(root, package, prefix, literals)


def records_below(root: Path, package: str, prefix: str, literals: bool = False) -> Iterator[Record]:
    """Records of the `*.py` files below `root`, whose modules are called `prefix.<path>`."""
    taken: Counter[str] = Counter()
    for path in _sources(root):
        module = ".".join(part for part in (prefix, *_dotted(path.relative_to(root))) if part)
        if not _VENDORED.isdisjoint(module.split(".")):
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # invalid escapes in other people's docstrings
                tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):  # a template, or a file for another Python
            continue
        for name, kind, arguments, text in _documented(tree, literals):
            taken[f"{module}:{name}"] += 1
            again = taken[f"{module}:{name}"]  # a property and its setter share their name
            yield Record(package, module, name if again == 1 else f"{name}#{again}", kind, arguments, text)


def language_reference() -> dict[str, str]:
    """Topic -> text of the language reference that `help()` shows; empty where Python came without it."""
    path = Path(sysconfig.get_path("stdlib")) / "pydoc_data" / "topics.py"
    if not path.is_file():
        return {}
    for statement in ast.parse(path.read_bytes()).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Dict):
            return dict(ast.literal_eval(statement.value))
    return {}


def _version(package: str) -> str:
    if package == "stdlib":
        return platform.python_version()
    try:
        return importlib.metadata.version(_DISTRIBUTION.get(package, package))
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _root(package: str) -> Path | None:
    if package == "stdlib":
        return Path(sysconfig.get_path("stdlib"))
    spec = importlib.util.find_spec(package)  # of a top-level name: finds the file, imports nothing
    return Path(spec.origin).parent if spec and spec.origin else None


def _sources(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob("*.py")):
        folders = path.relative_to(root).parts[:-1]
        if not _SKIPPED_FOLDERS.isdisjoint(folders):
            continue
        if path.name.startswith("test_") or path.name == "conftest.py":
            continue
        yield path


def _dotted(relative: Path) -> tuple[str, ...]:
    parts = relative.with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


def _documented(tree: ast.Module, literals: bool) -> Iterator[tuple[str, str, tuple[str, ...], str]]:
    """(qualified name, kind, arguments, docstring) in source order, nested definitions included."""
    stack: list[tuple[ast.AST, tuple[str, ...]]] = [(tree, ())]
    while stack:
        node, above = stack.pop()
        kind, arguments = "", ()
        if isinstance(node, ast.Module):
            kind = "module"
        elif isinstance(node, ast.ClassDef):
            kind, above = "class", (*above, node.name)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            kind, above, arguments = "function", (*above, node.name), _arguments(node.args)
        elif literals and isinstance(node, ast.Call) and _called(node) in {"add_newdoc", "add_docstr"}:
            yield from _literals(node)
        text = ast.get_docstring(node) if kind else None  # type: ignore[arg-type]
        if text:
            yield ".".join(above), kind, arguments, text
        stack.extend((child, above) for child in reversed(list(ast.iter_child_nodes(node))))


def _arguments(given: ast.arguments) -> tuple[str, ...]:
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    return tuple(
        argument.arg for argument in every if argument is not None and argument.arg not in {"self", "cls"}
    )


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _literals(call: ast.Call) -> Iterator[tuple[str, str, tuple[str, ...], str]]:
    """The long strings of `add_newdoc("acme", "array", ("sum", "..."))`, called after all short ones but the module."""
    strings = [node.value for node in ast.walk(call) if isinstance(node, ast.Constant)]
    strings = [text for text in strings if isinstance(text, str)]
    named = [text for text in strings if len(text) < _SHORTEST_LITERAL and text.isidentifier()]
    if not named and call.args and isinstance(call.args[0], ast.Attribute):
        named = [ast.unparse(call.args[0])]  # add_docstr(torch.abs, "...")
    for text in strings:
        if len(text) >= _SHORTEST_LITERAL:
            yield ".".join(named) or "literal", "literal", (), cleandoc(text)
