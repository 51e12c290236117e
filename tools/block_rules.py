"""What the commands and blocks of documents do when tools/run_blocks.py tries them. This is the whole rule:

- A `maskwright` command runs as it stands, with these exceptions.
- `maskwright run` (and `maskwright.run` in Python) of a recipe that trains: what is typed is checked whole; then two
  steps on few items are run, without evaluators. Of a chain or an experiment nothing is run, but for an experiment
  of `FEW_STEPS` at most, which is run as it stands.
- Docstrings are those of one small package, whichever are asked for.
- `maskwright doctor --contracts PACKAGE` must name an installed package; its own tests run the checks.
- `torchrun … -m maskwright …` runs in one process.
- `pip install` must name packages of this repository and extras that they have; `pytest` and `python FILE` must
  name what is in the repository. They are not run: every tox environment installs and tests, benchmarks take minutes.
- `pip install -e ./FOLDER` of a package that the page wrote is done by hand (block_packages.py); `pytest ./FOLDER` of
  it runs as it stands.
- What `SHOWN` names is not tried at all, for the reason given there.
"""

import importlib
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import block_packages

if TYPE_CHECKING:
    from run_blocks import Block

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = ("maskwright", "pip", "pytest", "python", "python3", "torchrun")
SHOWN = {
    ("README.md", "python3 -m venv .venv"): "it downloads packages; CI does the same in a fresh clone",
    ("README.md", "python3 tools/run_tests.py"): "it is what CI runs, and takes an hour",
    (
        "packages/maskwright-testing/README.md",
        "from maskwright_testing",
    ): "maskwright-mine is the reader's own package",
    (
        "packages/maskwright-testing/README.md",
        "maskwright doctor",
    ): "maskwright-mine is the reader's own package",
}
"""(page, how the block begins) -> why it is neither run nor checked."""

SMALL: dict[str, Any] = {
    "steps": 2,
    "epochs": None,
    "batch": 8,
    "workers": 0,
    "evaluators": [],
    "checkpoint_every": 2,
    "best": "",
}
FEW_ITEMS = 96
FEW_STEPS = 1200
"""Of all child runs of an experiment together."""
DOCSTRINGS = {"docstrings", "docstring-tasks", "docstring-search"}
HEAVY = (
    "torch", "torch._dynamo", "numpy", "PIL.Image", "safetensors.torch", "tokenizers", "jinja2",
    "sklearn.linear_model", "scipy.stats", "networkx", "matplotlib.figure", "transformers",
)  # fmt: skip


@dataclass(frozen=True)
class Played:
    """How a command of a block ended; `why` where it was not run as it stands, and `how` if not even smaller."""

    code: int = 0
    why: str = ""
    how: str = ""


def reason_to_show(page: str, text: str) -> str:
    return next(
        (why for (where, start), why in SHOWN.items() if where == page and text.startswith(start)), ""
    )


def reasons_without_block(blocks: "Iterable[Block]") -> list[str]:
    known = [(block.page, block.text) for block in blocks]
    return [
        f"{page}: {start}"
        for page, start in SHOWN
        if not any(page == where and text.startswith(start) for where, text in known)
    ]


def import_heavy_modules() -> None:
    """Once, before pages and commands are forked."""
    for name in HEAVY:
        importlib.import_module(name)


def play(words: Sequence[str]) -> Played:
    """Run or check one command."""
    name, *rest = words
    if name == "torchrun" and "maskwright" in rest:
        played = play_maskwright(rest[rest.index("maskwright") + 1 :])
        return Played(played.code, f"in one process; {played.why}".rstrip("; "), played.how)
    if name == "maskwright":
        return play_maskwright(rest)
    own = [word for word in rest if block_packages.is_own(word)]
    if name == "pip" and rest[:2] == ["install", "-e"] and own:
        unmet = [line for word in own for line in block_packages.install(word)]
        return Played(1 if unmet else 0, f"not there: {', '.join(unmet)}" if unmet else "linked by hand")
    if name == "pytest" and own:
        return Played(block_packages.run_tests(rest))
    if name == "pip" and rest[:1] == ["wheel"] and own:
        return Played(0, "not built here, where hatchling may be missing", "checked")
    if name == "pip" and rest[:1] == ["install"]:
        return named(
            missing_packages([word for word in rest[1:] if not word.startswith("-")]), "not installed anew"
        )
    if name in ("pytest", "python", "python3"):
        file = next((word for word in rest if not word.startswith("-")), "")
        return named([] if file and (ROOT / file).exists() else [file or name], "not run here")
    return Played(1, f"block_rules.py has no rule for {name}", "checked")


def named(missing: Sequence[str], why: str) -> Played:
    """For a command that is only looked at: what it names must be there."""
    return (
        Played(1, f"not in the repository: {', '.join(missing)}", "checked")
        if missing
        else Played(0, why, "checked")
    )


def missing_packages(requirements: Iterable[str]) -> list[str]:
    """Those of `package[extra,…]` that no package of the repository is or has."""
    missing = []
    for requirement in requirements:
        name, _, extras = requirement.removesuffix("]").partition("[")
        files = [*ROOT.glob(f"packages/{name}/pyproject.toml"), *ROOT.glob(f"plugins/{name}/pyproject.toml")]
        project = tomllib.loads(files[0].read_text(encoding="utf-8"))["project"] if files else {}
        offered = project.get("optional-dependencies", {})
        if not files or any(extra not in offered for extra in extras.split(",") if extra):
            missing.append(requirement)
    return missing


def play_maskwright(words: Sequence[str]) -> Played:
    from maskwright.cli.main import main

    if words[:2] == ["doctor", "--contracts"] and ":" not in words[2]:
        return named([] if is_installed(words[2]) else [words[2]], "its own tests run them")
    if words[:1] != ["run"]:
        return Played(main(words))
    from maskwright.cli import run_verbs

    told: list[str] = []

    def small_plan(source: Any, overrides: Any = (), **options: Any) -> Any:
        made = small(source, overrides, **options)
        told.append(made.why)
        return made.plan

    run_verbs.plan = small_plan
    try:
        return Played(main(words), *told)
    except OnlyChecked as stop:
        return Played(0, str(stop), "checked")


def is_installed(package: str) -> bool:
    try:
        metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return False
    return True


class OnlyChecked(BaseException):
    """A plan without mistakes that would take too long to run; passes the handlers of the command line."""


@dataclass(frozen=True)
class SmallPlan:
    plan: Any
    why: str = ""


def small(source: Any, overrides: Any = (), **options: Any) -> SmallPlan:
    """The plan of what was typed, made small where it trains; mistakes of what was typed are kept."""
    from maskwright.planning import plan

    made = plan(source, overrides, **options)
    if made.mistakes:
        return SmallPlan(made)
    table = made.resolved()
    recipe = table["use"].partition("@")[0]
    if recipe == "experiment" and 0 < steps_of(table) <= FEW_STEPS:
        return SmallPlan(made)
    if recipe in ("chain", "experiment"):
        raise OnlyChecked(f"a recipe:{recipe} is planned, not run")
    whole = str(table)
    table = fewer_docstrings(table)
    if recipe == "train":
        table |= {**SMALL, "data": few_items(table["data"])}
    if str(table) == whole:
        return SmallPlan(made)
    smaller = plan(table, seed=made.seed)
    smaller.source, smaller.text = made.source, made.text
    return SmallPlan(
        smaller, "two steps, few items, no evaluators" if recipe == "train" else "docstrings of one package"
    )


def few_items(data: Mapping[str, Any]) -> dict[str, Any]:
    """The data with few items to train on; of data made of sets, few of each."""
    if "sets" in data:
        return {**data, "sets": [few_items(entry) for entry in data["sets"]]}
    inner = {key: value for key, value in data.items() if key != "as"}
    name = {"as": data["as"]} if "as" in data else {}
    return {"use": "subset", **name, "inner": inner, "count": FEW_ITEMS}


def steps_of(table: Mapping[str, Any]) -> int:
    """Optimiser steps of all child runs of an experiment whose base trains; 0: not known."""
    base = table.get("base") or {}
    if base.get("use", "").partition("@")[0] != "train":
        return 0
    changed = any("steps" in arm.get("set", {}) or "file" in arm for arm in table["arms"].values())
    return 0 if changed else len(table["arms"]) * len(table["seeds"]) * (base.get("steps") or 0)


def fewer_docstrings(value: Any) -> Any:
    """The same tree with docstrings of networkx only."""
    if isinstance(value, list):
        return [fewer_docstrings(entry) for entry in value]
    if not isinstance(value, Mapping):
        return value
    found = {key: fewer_docstrings(entry) for key, entry in value.items()}
    if re.sub("@.*", "", str(found.get("use"))) in DOCSTRINGS:
        found["packages"] = ["networkx"]
    return found


def make_python_runs_small() -> None:
    """In a page's process: `maskwright.run` follows the rule of `maskwright run`."""
    import maskwright
    from maskwright import api

    def run(
        recipe: Any, overrides: Any = (), *, seed: int | None = None, out: Any = None, **options: Any
    ) -> api.LoadedRun:
        return api.start(small(recipe, overrides, seed=seed).plan, out, **options)

    maskwright.run = run  # type: ignore[assignment]
