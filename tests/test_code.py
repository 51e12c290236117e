"""Rules about code that ruff, mypy and import-linter do not know."""

import ast
import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path

import pytest
from repository import PACKAGES, PLUGINS, PYTHON_FILES, ROOT, Package, called_name, tree_of

TESTS = [path for path in PYTHON_FILES if path.name.startswith("test_")]
PARAMS = [path for path in PYTHON_FILES if "src" in path.parts and "params" in path.stem.split("_")]


def test_the_rules_see_the_files():
    assert len(PYTHON_FILES) >= 40
    assert len(TESTS) >= 10
    assert len(PARAMS) >= len(PLUGINS)


def test_files_stay_short():
    lengths = {path: path.read_text().count("\n") for path in PYTHON_FILES}
    for path, length in lengths.items():
        if length > 400:
            warnings.warn(
                f"{path.relative_to(ROOT)} has {length} lines; split it before it has 600", stacklevel=1
            )
    assert not [f"{path.relative_to(ROOT)}: {length}" for path, length in lengths.items() if length > 600]


def test_no_module_without_a_topic():
    vague = {"utils", "util", "helpers", "helper", "misc", "common"}
    assert not [
        path.relative_to(ROOT) for path in PYTHON_FILES if vague & {path.stem, *path.parent.parts[-1:]}
    ]


def test_file_names_of_tests_are_unique():
    counts = Counter(path.name for path in TESTS)
    assert not [name for name, count in counts.items() if count > 1]


def top_imports(tree: ast.Module) -> set[str]:
    """Packages that importing the module imports; what stands inside functions is left out."""
    found: set[str] = set()
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)
    return found


@pytest.mark.parametrize("plugin", PLUGINS, ids=str)
def test_plugin_modules_import_only_the_core(plugin: Package):
    assert len(PLUGINS) >= 2
    assert top_imports(tree_of(plugin.module / "plugin.py")) <= {"maskwright", "collections"}


@pytest.mark.parametrize("path", PARAMS, ids=lambda path: str(path.relative_to(ROOT)))
def test_params_modules_import_nothing_heavy(path: Path):
    assert len(PARAMS) >= len(PLUGINS)
    own = path.relative_to(ROOT).parts[3]
    assert top_imports(tree_of(path)) <= {"maskwright", "attrs", own, *sys.stdlib_module_names}
    assert "from __future__ import annotations" not in path.read_text(), "settings need their types as types"


def test_runtime_packages_do_not_import_the_test_tools():
    for package in PACKAGES:
        if package.name != "maskwright-testing":
            for path in package.module.rglob("*.py"):
                names = {
                    name
                    for node in ast.walk(tree_of(path))
                    if isinstance(node, ast.Import | ast.ImportFrom)
                    for name in [getattr(node, "module", None) or node.names[0].name]
                }
                found = {
                    name
                    for name in names
                    if name.partition(".")[0] in {"pytest", "hypothesis", "maskwright_testing"}
                }
                assert not found, f"{path.relative_to(ROOT)} imports {found}"


def is_counted(node: ast.expr, known: dict[str, ast.expr], asserted: set[str]) -> bool:
    """True when the cases of a parametrised test cannot silently become none.

    Written out they cannot; looked up they can, so the module must assert their number: assert len(NAME) >= 5.
    """
    match node:
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
            return any(
                not isinstance(item, ast.Starred) or is_counted(item.value, known, asserted) for item in items
            )
        case ast.Dict(keys=keys):
            return any(key is not None for key in keys)
        case ast.Constant(value=str(text)):
            return bool(text)
        case ast.Name(id=name):
            return name in asserted or (name in known and is_counted(known[name], {}, asserted))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return is_counted(left, known, asserted) or is_counted(right, known, asserted)
        case ast.ListComp(generators=loops) | ast.GeneratorExp(generators=loops):
            return all(not loop.ifs and is_counted(loop.iter, known, asserted) for loop in loops)
        case ast.Call(func=ast.Name(id="range"), args=numbers):
            return all(isinstance(number, ast.Constant) for number in numbers)
        case ast.Call(func=ast.Name(id="sorted" | "list" | "tuple" | "zip" | "product"), args=args):
            return all(is_counted(arg, known, asserted) for arg in args)
        case ast.Call(func=ast.Attribute(value=value, attr="items" | "values" | "keys" | "split"), args=[]):
            return is_counted(value, known, asserted)
    return False


def uncounted(tree: ast.Module) -> list[int]:
    """Lines of parametrised tests whose number of cases nobody asserts."""
    known: dict[str, ast.expr] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            known |= {target.id: node.value for target in node.targets if isinstance(target, ast.Name)}
    asserted = {
        argument.id
        for check in ast.walk(tree)
        if isinstance(check, ast.Assert)
        for call in ast.walk(check.test)
        if isinstance(call, ast.Call) and called_name(call) == "len"
        for argument in call.args
        if isinstance(argument, ast.Name)
    }
    return [
        call.lineno
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and called_name(call) == "parametrize" and len(call.args) > 1
        if not is_counted(call.args[1], known, asserted)
    ]


def test_parametrised_tests_say_how_many_cases_they_expect():
    assert not [f"{path.relative_to(ROOT)}:{line}" for path in TESTS for line in uncounted(tree_of(path))]


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("@mark.parametrize('x', [1, 2])\ndef test(x): ...", []),
        ("@mark.parametrize('x', find())\ndef test(x): ...", [1]),
        ("CASES = find()\n@mark.parametrize('x', CASES)\ndef test(x): ...", [2]),
        ("CASES = find()\nassert len(CASES) >= 3\n@mark.parametrize('x', CASES)\ndef test(x): ...", []),
        ("@mark.parametrize('x', [y for y in [1, 2] if y > 2])\ndef test(x): ...", [1]),
    ],
)
def test_the_rule_on_counts_itself(source: str, lines: list[int]):
    assert uncounted(ast.parse(source)) == lines


CHECKS = ("assert", "check", "raises", "warns")


def is_strict(node: ast.AST) -> bool:
    """The argument in run(..., check=True) and in simplefilter("error")."""
    match node:
        case ast.keyword(arg="check", value=ast.Constant(value=True)):
            return True
        case ast.Call(func=ast.Attribute(attr="simplefilter"), args=[ast.Constant(value="error"), *_]):
            return True
    return False


def silent_tests(tree: ast.Module) -> list[str]:
    """Test functions in which nothing is asserted, neither there nor in the functions of the module that they call.

    A subprocess whose exit status is checked and a filter that turns warnings into errors assert something too.
    """
    calls: dict[str, set[str]] = {}
    checking: set[str] = set()
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            nodes = list(ast.walk(function))
            calls[function.name] = {called_name(node) for node in nodes if isinstance(node, ast.Call)}
            by_name = any(
                n.lstrip("_").startswith(("assert", "check", "raises", "warns")) for n in calls[function.name]
            )
            if by_name or any(isinstance(node, ast.Assert) for node in nodes):
                checking.add(function.name)
    return [name for name in calls if name.startswith("test_") and not ({name} | calls[name]) & checking]


def test_every_test_can_fail():
    silent = {str(path.relative_to(ROOT)): silent_tests(tree_of(path)) for path in TESTS}
    assert not {path: names for path, names in silent.items() if names}
    assert silent_tests(ast.parse("def test_it():\n    run()")) == ["test_it"]
    assert silent_tests(ast.parse("def run():\n    assert go()\n\ndef test_it():\n    run()")) == []


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("import numpy as np\n\nnp.random.rand(3)\n", "NPY002"),
        ("import numpy as np\n\nnp.random.default_rng()\n", "TID251"),
        ("import random\n\nrandom.random()\n", "TID251"),
        ("import torch\n\ntorch.randn(3)\n", "TID251"),
        ("import pickle\n\npickle.loads(b'')\n", "S301"),
        ("import joblib\n\njoblib.load('a')\n", "TID251"),
    ],
)
def test_ruff_refuses_bare_randomness_and_loading_code(line: str, rule: str):
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--output-format",
        "concise",
        "--stdin-filename",
        "planted.py",
        "-",
    ]
    done = subprocess.run(command, input=line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert rule in done.stdout
