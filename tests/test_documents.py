"""Documentation covers what there is, and says nothing about where it was written."""

import ast
import re

import pytest
from repository import PACKAGES, PLUGINS, ROOT, Package, called_name, files, tree_of

TEXT_SUFFIXES = {".py", ".md", ".toml", ".ini", ".txt", ".cfg", ".json", ".yml", ".jinja", ".html", ""}
FORBIDDEN = {
    "a path of one machine": re.compile(r"(?<![\w.:/$}~-])/(?:home|root|opt|work|mnt|media|srv|Users)/\w"),
    "the host of a package index": re.compile(r"https?://[\w.-]*(?:pypi|pythonhosted)", re.I),
    "the number of an issue": re.compile(r"\bissues?\s+#?\d+|\bGH-\d+", re.I),
    "unfinished work": re.compile(r"\b(?:TODO|FIXME|XXX)\b"),
}
DOCUMENTS = files("*.md")


@pytest.mark.parametrize("what", FORBIDDEN)
def test_nothing_that_belongs_elsewhere(what: str):
    found = []
    for path in files():
        if path.suffix in TEXT_SUFFIXES and path.name != "test_documents.py":
            for number, line in enumerate(path.read_text().splitlines(), 1):
                if FORBIDDEN[what].search(line):
                    found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert not found, f"{what}:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("a path of one machine", "see /home/someone/notes"),
        ("the host of a package index", "--index-url https://test.pypi.org/simple"),
        ("the number of an issue", "fixes issue #12"),
        ("unfinished work", "# TODO: later"),
    ],
)
def test_the_patterns_find_what_they_are_for(what: str, line: str):
    assert FORBIDDEN[what].search(line)


def test_links_between_documents_lead_somewhere():
    assert len(DOCUMENTS) >= 2 * len(PACKAGES)
    broken = []
    for path in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text()):
            if (
                "://" not in target
                and not target.startswith("mailto:")
                and not (path.parent / target).exists()
            ):
                broken.append(f"{path.relative_to(ROOT)} -> {target}")
    assert not broken


def test_every_hook_and_argument_is_documented():
    page = (ROOT / "docs" / "hooks.md").read_text()
    hooks = [
        node
        for node in tree_of(ROOT / "packages/maskwright/src/maskwright/hookspecs.py").body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("maskwright_")
    ]
    assert len(hooks) >= 13
    missing = [hook.name for hook in hooks if f"`{hook.name}" not in page]
    missing += [f"{hook.name}({a.arg})" for hook in hooks for a in hook.args.args if f"`{a.arg}`" not in page]
    assert not missing, f"docs/hooks.md does not mention {', '.join(missing)}"


def component_names(plugin: Package) -> list[str]:
    """Names in the Component("name", ...) calls of plugin.py."""
    return [
        call.args[0].value
        for call in ast.walk(tree_of(plugin.module / "plugin.py"))
        if isinstance(call, ast.Call) and called_name(call) == "Component"
        if call.args and isinstance(call.args[0], ast.Constant)
    ]


@pytest.mark.parametrize("plugin", PLUGINS, ids=str)
def test_readme_of_a_plugin_names_its_components(plugin: Package):
    assert len(PLUGINS) >= 2
    names = component_names(plugin)
    assert names, f"{plugin} declares nothing"
    readme = (plugin.folder / "README.md").read_text()
    assert not [name for name in names if name not in readme], "the README does not mention these"
