"""new-plugin: what it writes for each kind, and what it refuses. That the result works is shown in integration/."""

import ast
import keyword
import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from commands import Command, write_distribution

from maskwright.catalogue import API
from maskwright.cli.plugin_verb import LONGEST_NAME, release_range
from maskwright.component import KINDS

EVERY = {
    ".github/workflows/test.yml",
    ".gitignore",
    "README.md",
    "pyproject.toml",
    "src/acme_parts/__init__.py",
    "src/acme_parts/params.py",
    "src/acme_parts/plugin.py",
    "src/acme_parts/py.typed",
    "tests/test_contracts.py",
}
NEEDS = {
    "masker": ["maskwright", "maskwright-torch"],
    "encoder": ["maskwright", "maskwright-torch"],
    "objective": ["maskwright", "maskwright-torch"],
    "evaluator": ["maskwright", "numpy"],
    "dataset": ["maskwright"],
    "codec": ["maskwright"],
    "schedule": ["maskwright"],
    "pipeline": ["maskwright", "numpy"],
    "recipe": ["maskwright"],
}
each_kind = pytest.mark.parametrize("kind", KINDS)
assert len(KINDS) >= 9


def written(here: Command, kind: str, name: str = "acme-parts") -> dict[str, str]:
    """Path -> text of the files of a new plugin."""
    done = here("new-plugin", name, "--kind", kind)
    assert done.returncode == 0, done.stderr
    folder = Path(name)
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@each_kind
def test_a_complete_package(here: Command, kind: str):
    files = written(here, kind)
    recipe = "acme-parts-small" if kind == "recipe" else "acme-parts"
    assert EVERY | {f"src/acme_parts/recipes/{recipe}.toml"} < files.keys()
    own = {Path(path).name for path in files.keys() - EVERY}
    modules = {name for name in own if name.endswith(".py") and not name.startswith("test_")}
    assert {f"test_{name}" for name in modules} & own, "a test of the module that does the work"


@each_kind
def test_every_word_is_filled_in(here: Command, kind: str):
    for path, text in written(here, kind).items():
        assert not re.search(r"\$\w|PACKAGE|RECIPE|\.template", path + text), path
        assert max(map(len, text.splitlines()), default=0) <= 120, path


@each_kind
def test_python_and_toml_are_sound(here: Command, kind: str):
    files = written(here, kind)
    for path, text in files.items():
        if path.endswith(".py"):
            compile(text, path, "exec")
    plugin = files["src/acme_parts/plugin.py"]
    assert f"MASKWRIGHT_API = {API}\n" in plugin
    assert f"def maskwright_{kind}s():" in plugin
    calls = [node for node in ast.walk(ast.parse(plugin)) if isinstance(node, ast.Call)]
    names = [call.args[0].value for call in calls if getattr(call.func, "id", "") == "Component"]
    recipe = "acme-parts-small" if kind == "recipe" else "acme-parts"
    assert names == ["acme-parts", recipe]
    settings = tomllib.loads(files[f"src/acme_parts/recipes/{recipe}.toml"])
    assert '"acme-parts"' in str(settings).replace("'", '"'), "the recipe uses the component"
    assert f"maskwright run {recipe}\n" in files["README.md"]


@each_kind
def test_the_metadata(here: Command, kind: str):
    project = tomllib.loads(written(here, kind)["pyproject.toml"])["project"]
    assert project["name"] == "acme-parts"
    assert project["entry-points"] == {"maskwright": {"acme-parts": "acme_parts.plugin"}}
    assert [line.partition(">")[0] for line in project["dependencies"]] == NEEDS[kind]
    ours = [line for line in project["dependencies"] if line.startswith("maskwright")]
    extras = project["optional-dependencies"]
    test = "maskwright-testing[torch]" if "maskwright-torch" in NEEDS[kind] else "maskwright-testing"
    assert extras["test"][0].partition(">")[0] == test
    if kind == "recipe":
        assert extras.keys() == {"test"}
    else:
        assert extras["test"][1] == "acme-parts[recipe]"
        ours += extras["recipe"]
    for line in [*ours, extras["test"][0]]:
        assert line.partition(">")[0].startswith("maskwright") and re.search(r">=\d+\.\d+,<\d+\.\d+$", line)


@pytest.mark.parametrize(
    ("version", "wanted"),
    [("0.1.0", ">=0.1,<0.3"), ("0.9.2", ">=0.9,<0.11"), ("1.12.0.dev3", ">=1.12,<1.14")],
)
def test_the_range_follows_the_installed_release(monkeypatch: pytest.MonkeyPatch, version: str, wanted: str):
    monkeypatch.setattr(metadata, "version", lambda name: version)
    assert release_range("maskwright") == wanted


def test_what_is_not_installed_gets_the_range_of_the_core(monkeypatch: pytest.MonkeyPatch):
    def version(name: str) -> str:
        if name != "maskwright":
            raise metadata.PackageNotFoundError(name)
        return "2.3.0"

    monkeypatch.setattr(metadata, "version", version)
    assert release_range("maskwright-vision") == ">=2.3,<2.5"


def test_it_says_what_to_do_next(here: Command):
    done = here("new-plugin", "acme-parts", "--kind", "masker", "--out", "deep/er")
    assert done.returncode == 0
    assert "deep/er/pyproject.toml\n" in done.stdout
    assert done.stdout.endswith(
        "\nmasker:acme-parts is ready. In an environment of its own:\n"
        '  cd deep/er && pip install -e ".[test]"\n'
        "  pytest\n"
        "  maskwright run acme-parts\n"
    )
    assert Path("deep/er/src/acme_parts/plugin.py").is_file()


def test_names_that_are_in_use_in_settings_do_no_harm(here: Command):
    for name in ("any", "schedule", "a1-b2"):
        assert (
            "yield Component(" in written(here, "schedule", name)[f"src/{name.replace('-', '_')}/plugin.py"]
        )


@pytest.mark.parametrize(
    "name",
    ["Acme", "acme_masks", "1st", "acme-", "acme--masks", "acme.masks", "acme/masks", "äcme", "a" * 41, ""],
)
def test_a_name_that_is_none(here: Command, name: str):
    assert LONGEST_NAME == 40
    done = here("new-plugin", name, "--kind", "masker")
    assert done.returncode == 2
    assert done.stderr == (
        f'maskwright: "{name}" is no name for a plugin\n'
        "  why:   a name is made of a-z and 0-9, in words joined by -, begins with a letter and has at most 40 "
        "characters\n"
        "  do:    such as acme-masks\n"
    )
    assert not list(Path.cwd().iterdir())


def test_a_word_of_python_is_no_name(here: Command):
    assert keyword.iskeyword("lambda")
    done = here("new-plugin", "lambda", "--kind", "masker")
    assert done.returncode == 2
    assert '"lambda" is no name for a plugin\n  why:   it is a word of Python\n' in done.stderr


def test_a_kind_that_is_none(here: Command):
    done = here("new-plugin", "acme", "--kind", "maskers")
    assert done.returncode == 2
    assert (
        'there is no kind "maskers" — did you mean "masker"?\n  do:    kinds: masker, encoder, '
        in done.stderr
    )


def test_a_component_of_that_name_is_there(here: Command):
    done = here("new-plugin", "cosine", "--kind", "schedule")
    assert done.returncode == 2
    assert "there is a schedule:cosine already\n  where: maskwright " in done.stderr
    assert "do:    another name, with your own in front: such as acme-masks\n" in done.stderr


def test_a_recipe_of_that_name_is_there(here: Command):
    done = here("new-plugin", "chain", "--kind", "schedule")
    assert done.returncode == 2
    assert "there is a recipe:chain already" in done.stderr


def test_a_python_package_of_that_name_is_there(here: Command):
    done = here("new-plugin", "json", "--kind", "schedule")
    assert done.returncode == 2
    assert "there is a Python package json already\n  where: " in done.stderr


def test_a_bare_folder_of_that_name_is_no_python_package(here: Command, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(Path.cwd()))
    Path("acme").mkdir()
    Path("acme/notes.txt").write_text("mine")
    assert here("new-plugin", "acme", "--kind", "schedule", "--out", "plugin").returncode == 0
    assert Path("acme/notes.txt").read_text() == "mine"


def test_an_installed_package_of_that_name(here: Command, toy_site: Path):
    write_distribution(toy_site, "acme-there", "x = json")
    done = here("new-plugin", "acme-there", "--kind", "schedule")
    assert done.returncode == 2
    assert "a package acme-there is installed already\n  where: acme-there 1.0\n" in done.stderr


def test_a_folder_that_is_not_empty(here: Command):
    Path("acme").mkdir()
    Path("acme/notes.txt").write_text("mine")
    done = here("new-plugin", "acme", "--kind", "schedule")
    assert done.returncode == 2
    assert done.stderr == (
        "maskwright: acme is not empty\n  where: acme\n  do:    an empty folder, or another --out\n"
    )
    assert [path.name for path in Path("acme").iterdir()] == ["notes.txt"]


def test_an_empty_folder_is_filled(here: Command):
    Path("acme").mkdir()
    assert here("new-plugin", "acme", "--kind", "schedule").returncode == 0
    assert Path("acme/pyproject.toml").is_file()
    assert [path.name for path in Path.cwd().iterdir()] == ["acme"], "nothing half-written is left"


def test_the_current_folder_is_not_pulled_away(here: Command):
    done = here("new-plugin", "acme", "--kind", "schedule", "--out", ".")
    assert done.returncode == 2
    assert ". is the current folder\n" in done.stderr
    assert "do:    call it from the folder above\n" in done.stderr


def test_a_file_in_its_place(here: Command):
    Path("acme").write_text("mine")
    done = here("new-plugin", "acme", "--kind", "schedule")
    assert done.returncode == 2
    assert "acme exists and is no folder" in done.stderr
    assert Path("acme").read_text() == "mine"
