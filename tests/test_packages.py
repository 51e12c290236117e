"""Every package has the same shape, so that who knows one knows all."""

import ast
import re

import pytest
from repository import PACKAGES, PLUGINS, ROOT, Package, distribution, tree_of

PROVEN_PYTHONS = {"3.11"}  # a classifier is a promise: only what the tests ran on
each_package = pytest.mark.parametrize("package", PACKAGES, ids=str)
each_plugin = pytest.mark.parametrize("plugin", PLUGINS, ids=str)


def test_the_rules_see_the_packages():
    assert len(PACKAGES) >= 4
    assert len(PLUGINS) >= 2
    assert {"maskwright", "maskwright-testing"} <= {package.name for package in PACKAGES}


@each_package
def test_entries(package: Package):
    wanted = ["src", "tests", "changes", "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE"]
    lacking = [name for name in wanted if not (package.folder / name).exists()]
    lacking += [] if (package.module / "py.typed").exists() else ["py.typed"]
    assert not lacking, f"{package} lacks {', '.join(lacking)}"
    assert list((package.folder / "tests").glob("test_*.py")), f"{package} has no tests"


@each_package
def test_metadata_is_the_same_everywhere(package: Package):
    core = PACKAGES[0]
    for key in ("license", "license-files", "authors", "requires-python", "readme"):
        assert package.project[key] == core.project[key], key
    assert package.settings["build-system"] == core.settings["build-system"]
    assert package.project["name"] == package.name
    assert package.settings["tool"]["hatch"]["build"]["targets"]["wheel"] == {
        "packages": [f"src/{package.module.name}"]
    }
    assert (package.folder / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


@each_package
def test_classifiers_promise_only_what_ran(package: Package):
    found = [
        re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", c) for c in package.project["classifiers"]
    ]
    assert {match[1] for match in found if match} <= PROVEN_PYTHONS
    assert "Typing :: Typed" in package.project["classifiers"]


@each_package
def test_packages_ask_for_ranges_of_each_other(package: Package):
    versions = {other.name: other.project["version"] for other in PACKAGES}
    for line in package.requirements():
        if distribution(line) not in versions:
            assert re.search(r">=\s*\d", line), f"{line!r} has no lower bound"
            continue
        bounds = re.search(r">=([\d.]+),<([\d.]+)$", line)
        assert bounds, f"{line!r} must read NAME>=LOW,<HIGH"
        low, version, high = (
            tuple(int(part) for part in text.split("."))
            for text in (bounds[1], versions[distribution(line)], bounds[2])
        )
        assert low <= version < high, f"{line!r} leaves out the version in this repository, {version}"


@each_package
def test_change_fragments(package: Package):
    for file in (package.folder / "changes").iterdir():
        if file.name != ".gitkeep":
            assert re.fullmatch(r"[\w-]+\.(added|changed|fixed|removed)\.md", file.name), file
            assert file.read_text().strip(), f"{file} is empty"


@each_plugin
def test_plugin_module(plugin: Package):
    entries = plugin.project["entry-points"]["maskwright"]
    assert list(entries.values()) == [f"{plugin.module.name}.plugin"]
    tree = tree_of(plugin.module / "plugin.py")
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    assert type(constants.get("MASKWRIGHT_API")) is int
