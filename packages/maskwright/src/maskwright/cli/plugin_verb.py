"""new-plugin: a complete package with one working component, its tests and a recipe, to start from.

The text lies in templates/plugin/, laid out as what is written: `every/` for all kinds, and a folder for each kind.
`PACKAGE` and `RECIPE` in the names of files, and `$words` in the text, are filled in.
"""

import argparse
import importlib.util
import keyword
import re
import textwrap
from collections.abc import Iterator
from importlib import metadata, resources
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

import attrs

from maskwright.catalogue import API, catalogue
from maskwright.component import KINDS
from maskwright.errors import UserError, did_you_mean
from maskwright.folder import write_folder

SUFFIX = ".template"
"""Of every file in templates/plugin/: they are text until they are filled in, nothing imports or checks them."""

LONGEST_NAME = 40
"""Characters of a plugin's name: lines of the templates have room for as many."""


@attrs.frozen
class Start:
    """What is particular about the plugin of one kind."""

    module: str
    """The file that does the work."""
    promise: str
    """What the component does, after "It brings `kind:name`, …"."""
    proof: str
    """A contract check of this kind that must have been made and passed."""
    needs: tuple[str, ...] = ()
    """What the component needs beside maskwright."""
    recipe_needs: str = ""
    """The package whose parts the recipe puts around the component; empty: none."""
    recipe_parts: str = ""
    """What the recipe takes from there."""


_TORCH = ("maskwright-torch",)
_NUMPY = ("numpy>=2",)

STARTS = {
    "masker": Start(
        "one_run",
        "which hides one run of neighbouring units",
        "check_masker_invalid_units",
        _TORCH,
        "maskwright-vision",
        "pictures, an encoder and an objective",
    ),
    "encoder": Start(
        "mixer",
        "layers that mix the patches of a picture",
        "check_encoder_states",
        _TORCH,
        "maskwright-vision",
        "pictures and an objective",
    ),
    "objective": Start(
        "hidden_mean",
        "which predicts the mean of what is hidden",
        "check_objective_halves",
        _TORCH,
        "maskwright-vision",
        "pictures and an encoder",
    ),
    "evaluator": Start(
        "neighbours",
        "which tells how often the nearest item has the same label",
        "check_evaluator_optimum",
        _NUMPY,
        "maskwright-samples",
        "texts and a pipeline to judge",
    ),
    "dataset": Start(
        "errands",
        "generated sentences of two classes",
        "check_dataset_fields",
        (),
        "maskwright-samples",
        "a pipeline and an evaluator",
    ),
    "codec": Start(
        "characters",
        "which makes a token of every character",
        "check_fitted_load_gives_the_same",
        (),
        "maskwright-text",
        "texts, an encoder and an objective",
    ),
    "schedule": Start(
        "waves",
        "which goes up and down between two values",
        "check_schedule_range",
        (),
        "maskwright-vision",
        "pictures, an encoder and an objective",
    ),
    "pipeline": Start(
        "profile",
        "which gives the brightness of rows and columns as a vector",
        "check_pipeline_one_by_one",
        _NUMPY,
        "maskwright-samples",
        "pictures and an evaluator",
    ),
    "recipe": Start("raindrops", "which estimates pi", "check_recipe_kill_and_resume"),
}


def new_plugin(arguments: argparse.Namespace) -> int:
    kind, name = arguments.kind, arguments.name
    if kind not in STARTS:
        raise UserError(
            f'there is no kind "{kind}"{did_you_mean(kind, KINDS)}', cure=f"kinds: {', '.join(KINDS)}"
        )
    check_name(name)
    check_free(name, kind)
    out = Path(arguments.out or name)
    check_folder(out)
    files = dict(plugin_files(name, kind))
    write_folder(out, lambda folder: _fill(folder, files))
    print("\n".join(str(out / path) for path in sorted(files)))
    print(
        f"\n{kind}:{name} is ready. In an environment of its own:\n"
        f'  cd {out} && pip install -e ".[test]"\n'
        f"  pytest\n"
        f"  maskwright run {recipe_name(name, kind)}"
    )
    return 0


def check_name(name: str) -> None:
    """UserError unless the name is one for a distribution, a Python package and a component alike."""
    if len(name) > LONGEST_NAME or not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise UserError(
            f'"{name}" is no name for a plugin',
            why=f"a name is made of a-z and 0-9, in words joined by -, begins with a letter and has at most "
            f"{LONGEST_NAME} characters",
            cure="such as acme-masks",
        )
    if keyword.iskeyword(package_name(name)):
        raise UserError(
            f'"{name}" is no name for a plugin', why="it is a word of Python", cure="such as acme-masks"
        )


def check_free(name: str, kind: str) -> None:
    """UserError where the name is taken by a component of this kind, a recipe, or a package that is installed here."""
    cure = "another name, with your own in front: such as acme-masks"
    wanted = {f"{kind}:{name}", f"recipe:{recipe_name(name, kind)}"}
    for listed in catalogue().listed:
        if listed.reference in wanted:
            raise UserError(
                f"there is a {listed.reference} already",
                where=f"{listed.package} {listed.version}",
                cure=cure,
            )
    found = importlib.util.find_spec(package_name(name))
    # A bare folder of that name in the current one counts as a package without a file.
    if found is not None and found.origin is not None:
        raise UserError(
            f"there is a Python package {package_name(name)} already", where=found.origin, cure=cure
        )
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return
    raise UserError(f"a package {name} is installed already", where=f"{name} {version}", cure=cure)


def check_folder(out: Path) -> None:
    """UserError unless nothing is lost or pulled away from under anyone by writing there."""
    if not (out.exists() or out.is_symlink()):
        return
    if not out.is_dir():
        raise UserError(f"{out} exists and is no folder", where=str(out), cure="another --out")
    if any(out.iterdir()):
        raise UserError(f"{out} is not empty", where=str(out), cure="an empty folder, or another --out")
    if Path.cwd().is_relative_to(out.resolve()):
        raise UserError(
            f"{out} is the current folder",
            where=str(out.resolve()),
            why="the package is written elsewhere and moved here in one go",
            cure="call it from the folder above",
        )


def package_name(name: str) -> str:
    return name.replace("-", "_")


def recipe_name(name: str, kind: str) -> str:
    """The shipped recipe is called as the component; two recipes cannot be."""
    return name if kind != "recipe" else f"{name}-small"


def release_range(distribution: str) -> str:
    """`maskwright-torch>=0.1,<0.3`: the release that is installed here, or else that of the core, and the next one.

    What is to be removed is announced for two minor releases, so this far nothing can break.
    """
    try:
        version = metadata.version(distribution)
    except metadata.PackageNotFoundError:
        version = metadata.version("maskwright")
    major, minor = (int(number) for number in version.split(".")[:2])
    return f">={major}.{minor},<{major}.{minor + 2}"


def plugin_files(name: str, kind: str) -> Iterator[tuple[str, str]]:
    """(path, text) of every file of the plugin."""
    start = STARTS[kind]
    package, recipe = package_name(name), recipe_name(name, kind)
    words = {
        "name": name,
        "package": package,
        "recipe": recipe,
        "kind": kind,
        "module": start.module,
        "promise": start.promise,
        "proof": start.proof,
        "api": str(API),
        "needs": _lines(["maskwright", *start.needs]),
        "extras": _extras(name, start),
        "recipe_needs": _recipe_needs(name, kind, start),
    }
    home = resources.files("maskwright") / "templates" / "plugin"
    for folder in ("every", kind):
        for path, text in _templates(home / folder):
            path = path.replace("PACKAGE", package).replace("RECIPE", recipe)
            yield path, Template(text).substitute(words)


def _templates(folder: Traversable, before: str = "") -> Iterator[tuple[str, str]]:
    """(path without the suffix, text) of every template below."""
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _templates(entry, f"{before}{entry.name}/")
        elif entry.name.endswith(SUFFIX):
            yield before + entry.name.removesuffix(SUFFIX), entry.read_text(encoding="utf-8")


def _requirement(line: str) -> str:
    """Our own packages, named bare or with an extra, get their range; others say theirs."""
    return line if ">" in line else f"{line}{release_range(line.partition('[')[0])}"


def _lines(requirements: list[str]) -> str:
    return "\n".join(f'    "{_requirement(line)}",' for line in requirements)


def _extras(name: str, start: Start) -> str:
    testing = "maskwright-testing[torch]" if "maskwright-torch" in start.needs else "maskwright-testing"
    test = [f'"{_requirement(testing)}"']
    if not start.recipe_needs:
        return f"test = [{test[0]}]"
    return f'recipe = ["{_requirement(start.recipe_needs)}"]\ntest = [{test[0]}, "{name}[recipe]"]'


def _recipe_needs(name: str, kind: str, start: Start) -> str:
    """What the README says of the extra `recipe`."""
    if not start.recipe_needs:
        return (
            f"The {kind} and the recipe file that uses it need nothing but what `pip install {name}` brings."
        )
    own = " and ".join(need.partition(">")[0] for need in ("maskwright", *start.needs))
    text = (
        f"The {kind} needs {own} only. Its recipe puts parts of {start.recipe_needs} around it ({start.recipe_parts}), "
        f"which the extra `{name}[recipe]` installs; `[test]` includes it."
    )
    return textwrap.fill(text, 115, break_long_words=False, break_on_hyphens=False)


def _fill(folder: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
