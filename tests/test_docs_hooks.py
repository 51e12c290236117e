"""docs/hooks.md shows every hook with its arguments, and its code is a plugin that works."""

import inspect
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from repository import ROOT

from maskwright import hookspecs
from maskwright.component import KINDS
from maskwright.observers import Observers
from maskwright.runs import RunInfo
from maskwright_testing.isolation import IsolatedCatalogue

PAGE = (ROOT / "docs" / "hooks.md").read_text(encoding="utf-8")
HOOKS = {name: value for name, value in vars(hookspecs).items() if name.startswith("maskwright_")}
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
SECTIONS = {
    match[1]: PAGE[
        match.start() : next(iter(re.finditer(r"^##+ ", PAGE[match.end() :], re.MULTILINE))).start()
        + match.end()
    ]
    for match in re.finditer(r"^### `(maskwright_\w+)\(", PAGE, re.MULTILINE)
}
WATCHING = {name: value for name, value in HOOKS.items() if inspect.signature(value).parameters}
assert len(HOOKS) >= 13
assert len(WATCHING) >= 4
assert len(BLOCKS) >= 15


def test_every_hook_is_there_and_no_other():
    assert SECTIONS.keys() == HOOKS.keys()


@pytest.mark.parametrize("name", HOOKS)
def test_the_heading_is_the_signature(name: str):
    signature = str(inspect.signature(HOOKS[name])).replace("'", "")
    signature = re.sub(r"(?:collections\.abc|maskwright\.component|pathlib)\.", "", signature)
    assert f"### `{name}{signature}`" in SECTIONS[name]


@pytest.mark.parametrize("name", HOOKS)
def test_each_hook_has_its_arguments_and_an_example(name: str):
    section = SECTIONS[name]
    assert f"@hookimpl\ndef {name}(" in section
    listed = " ".join(re.findall(r"^- (.+?):", section, re.MULTILINE))
    assert [word for word in inspect.signature(HOOKS[name]).parameters if f"`{word}`" not in listed] == []


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """All code of the page in one module, `mine.plugin`."""
    package, module = ModuleType("mine"), ModuleType("mine.plugin")
    package.plugin = module  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mine", package)
    monkeypatch.setitem(sys.modules, "mine.plugin", module)
    for block in BLOCKS:
        exec(compile(block, "docs/hooks.md", "exec"), vars(module))  # noqa: S102 (our own page)
    return module


def test_the_page_is_a_plugin_with_one_component_of_each_kind(
    plugin: ModuleType, isolated_catalogue: IsolatedCatalogue
):
    isolated_catalogue.add(plugin, name="mine", distribution="mine")
    kinds = [listed.kind for listed in isolated_catalogue.catalogue.listed if listed.package == "mine"]
    assert set(kinds) == set(KINDS)
    assert len(kinds) == len(KINDS) + 1, "recipes are shown in both forms"


def test_the_test_shown_for_plugins_passes(plugin: ModuleType, isolated_catalogue: IsolatedCatalogue):
    plugin.test_my_plugin_loads(isolated_catalogue)
    assert isolated_catalogue.catalogue.problems == []


def test_watching_hooks_are_called_with_what_they_ask_for(
    plugin: ModuleType, isolated_catalogue: IsolatedCatalogue, capsys: pytest.CaptureFixture[str]
):
    isolated_catalogue.add(plugin, name="mine", distribution="mine")
    observers = Observers()
    run = RunInfo(Path("runs/a"), "learn", 3, None)
    observers.call("maskwright_run_started", run=run)
    observers.call("maskwright_metrics", run=run, step=2, values={"loss": 0.5})
    observers.call("maskwright_checkpoint_saved", run=run, step=2, path=Path("runs/a/checkpoints/00000002"))
    observers.call("maskwright_run_finished", run=run, status="failed", error="KeyError: 'a'")
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        "learn, seed 3, begins in runs/a",
        "step 2: loss = 0.5",
        "learn: saved 00000002",
        "learn: failed (KeyError: 'a')",
    ]
    assert told.err == ""
