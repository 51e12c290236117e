"""docs/contracts.md names every protocol and every check, in the words of the code."""

import re

import pytest
from repository import ROOT

from maskwright import contracts
from maskwright_testing.cases import Case
from maskwright_testing.registry import FAMILIES, checks_in

PAGE = (ROOT / "docs" / "contracts.md").read_text(encoding="utf-8")
CHECKS = [(name, check) for family in FAMILIES for name, check in checks_in(family)]
PROTOCOLS = [
    name
    for name, value in vars(contracts).items()
    if getattr(value, "_is_protocol", False) and name != "Protocol"
]
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
assert len(CHECKS) >= 40
assert len(PROTOCOLS) >= 6
assert len(BLOCKS) >= 2


def test_every_protocol_is_there():
    rows = re.findall(r"^\| `(\w+)` \| .+ \|$", PAGE, re.MULTILINE)
    assert [name for name in PROTOCOLS if name not in rows] == []


@pytest.mark.parametrize(("name", "check"), CHECKS)
def test_every_check_is_there_with_what_it_proves(name: str, check: object):
    assert check.__doc__, f"{name} does not say what it proves"
    assert f"| `{name}` | {' '.join(check.__doc__.split())} |" in PAGE


def test_the_page_names_no_check_that_is_gone():
    known = {name for name, _ in CHECKS}
    assert set(re.findall(r"^\| `(check_\w+)` \|", PAGE, re.MULTILINE)) == known


def test_every_example_that_the_kit_asks_for_is_there():
    import inspect

    asked = set(re.findall(r'(?:offered|has)\("(\w+)"\)', inspect.getsource(Case)))
    assert asked >= {"example", "example_data", "example_case"}
    assert [name for name in asked | {"perfect"} if f"| `{name}()` |" not in PAGE] == []


@pytest.mark.parametrize("block", BLOCKS)
def test_the_code_runs(block: str):
    assert "import" in block
    exec(compile(block, "docs/contracts.md", "exec"), {"__name__": "docs_contracts"})  # noqa: S102
