"""What `maskwright new-plugin` writes is listed, keeps its contracts and runs, untouched; broken on purpose, a contract
that has a name fails.

The plugins are written once, and put on the path as if they were installed: source folders beside made-up metadata.
One process each lists them, runs their tests, runs their recipes, and checks broken ones: torch is imported once a
process, not once a plugin. `tools/thirdparty.py` does the same with real wheels in fresh environments.
"""

import json
import os
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import attrs
import pytest

from maskwright.cli.main import main

KINDS = ("masker", "encoder", "objective", "evaluator", "dataset", "codec", "schedule", "pipeline", "recipe")

BROKEN = {
    "pad": (
        "masker",
        "one_run.py",
        ("return units.valid & (distance >= 0)", "return (distance >= 0)"),
        "check_masker_invalid_units",
        "units that are not valid",
    ),
    "draw": (
        "masker",
        "one_run.py",
        ('uniform(step.stream("mask"), units.rows, 1)', "torch.nn.init.uniform_(valid.double())"),
        "check_masker_same_step",
        "other",
    ),
    "leak": (
        "encoder",
        "mixer.py",
        ("if hidden is not None:", "if False:"),
        "check_encoder_hidden_content",
        "with other content in hidden units",
    ),
    "seed": (
        "encoder",
        "params.py",
        ("seed, lambda:", "0, lambda:"),
        "check_encoder_seed",
        "built with two seeds, it has the same weights",
    ),
    "mean": (
        "objective",
        "hidden_mean.py",
        ("(errors * asked).sum(), asked.sum()", "(errors * asked).mean(), asked.mean()"),
        "check_objective_halves",
        "the whole batch, then its halves together",
    ),
    "slot": (
        "objective",
        "hidden_mean.py",
        ("self.masker", "self.chooser"),
        "check_objective_slots",
        "the part at masker is not kept as .masker",
    ),
    "metric": (
        "evaluator",
        "neighbours.py",
        ('{"agreement": "max"}', '{"agreement": "max", "items": "max"}'),
        "check_evaluator_metrics",
        "items",
    ),
    "best": (
        "evaluator",
        "neighbours.py",
        ('== items[other]["label"]', '!= items[other]["label"]'),
        "check_evaluator_optimum",
        "a perfect subject gets agreement",
    ),
    "field": (
        "dataset",
        "errands.py",
        (', "label": label}', "}"),
        "check_dataset_fields",
        "label",
    ),
    "moving": (
        "dataset",
        "errands.py",
        ("Step(self.seed).fork(", "step.fork("),
        "check_dataset_plain",
        "step",
    ),
    "forgets": (
        "codec",
        "characters.py",
        ("self.characters = json.loads(", "_ = json.loads("),
        "check_fitted_load_gives_the_same",
        "characters.json",
    ),
    "silent": (
        "codec",
        "characters.py",
        ("except (OSError, ValueError)", "except ZeroDivisionError"),
        "check_fitted_load_refuses_what_is_not_there",
        "FileNotFoundError",
    ),
    "range": (
        "schedule",
        "waves.py",
        ("max(low, high)))", "min(low, high)))"),
        "check_schedule_range",
        "lies outside",
    ),
    "inplace": (
        "pipeline",
        "profile.py",
        (
            'yield {**item, "vector": np.concatenate(parts)}',
            'item["vector"] = np.concatenate(parts); yield item',
        ),
        "check_pipeline_leaves_items_alone",
        "an item was changed in place",
    ),
    "undeclared": (
        "pipeline",
        "profile.py",
        ('"vector": np', '"vectors": np'),
        "check_pipeline_fields",
        "declared but not added: vector",
    ),
    "resume": (
        "recipe",
        "raindrops.py",
        (
            'inside, begun = json.loads(latest.read("state.json"))["inside"], latest.number',
            "begun = latest.number",
        ),
        "check_recipe_kill_and_resume",
        "the run is another",
    ),
}
"""Word -> kind, file, (good, bad), the check that must fail, and words of its sentence."""


@attrs.frozen
class Installed:
    """A folder with the plugins, and the environment of a process that finds them installed."""

    folder: Path
    environment: dict[str, str]

    def python(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *map(str, words)],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )


def write(folder: Path, name: str, kind: str) -> Path:
    """The plugin, and beside its package the metadata that an installer would have made of its pyproject.toml."""
    assert main(["new-plugin", name, "--kind", kind, "--out", str(folder / name)]) == 0
    project = tomllib.loads((folder / name / "pyproject.toml").read_text())["project"]
    source = folder / name / "src"
    info = source / f"{name.replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {project['version']}\n")
    ((entry, module),) = project["entry-points"]["maskwright"].items()
    (info / "entry_points.txt").write_text(f"[maskwright]\n{entry} = {module}\n")
    return source


def installed(folder: Path, sources: list[Path]) -> Installed:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MASKWRIGHT_")}
    path = os.pathsep.join(map(str, sources))
    return Installed(folder, {**kept, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "MASKWRIGHT_STRICT": "1"})


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("plugins")
    return installed(folder, [write(folder, f"acme-{kind}", kind) for kind in KINDS])


@pytest.fixture(scope="module")
def own_tests(written: Installed) -> dict[str, list[tuple[str, str]]]:
    """Plugin -> (test, how it ended), of the tests that were written with it."""
    report = written.folder / "report.xml"
    folders = [f"acme-{kind}/tests" for kind in KINDS]
    # Each plugin has a file of the same name, which pytest's usual way of importing does not allow in one process.
    options = [
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir=.",
        "--import-mode=importlib",
        f"--junit-xml={report}",
    ]
    done = written.python("-m", "pytest", *options, *folders)
    found: dict[str, list[tuple[str, str]]] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        plugin = case.get("classname", "").partition(".")[0]
        end = next((f"{entry.tag}: {entry.get('message')}" for entry in case), "passed")
        found.setdefault(plugin, []).append((case.get("name", ""), end))
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    return found


def test_each_is_listed(written: Installed):
    done = written.python("-m", "maskwright", "list", "--json")
    assert done.returncode == 0, done.stderr
    found = {
        (row["kind"], row["name"]) for row in json.loads(done.stdout) if row["package"].startswith("acme-")
    }
    files = {("recipe", f"acme-{kind}") for kind in KINDS} | {("recipe", "acme-recipe-small")}
    assert found == {(kind, f"acme-{kind}") for kind in KINDS} | files


@pytest.mark.parametrize("kind", KINDS)
def test_each_keeps_its_contracts(own_tests: dict[str, list[tuple[str, str]]], kind: str):
    assert len(KINDS) == 9
    tests = own_tests[f"acme-{kind}"]
    contracts = [name for name, end in tests if name.startswith("test_contracts[") and end == "passed"]
    assert len(contracts) >= 10
    assert any(f"{kind}:acme-{kind}-" in name for name in contracts)
    assert ("test_the_contracts_of_its_kind_are_checked", "passed") in tests
    own = [name for name, _ in tests if not name.startswith(("test_contracts[", "test_the_contracts_of"))]
    assert own, "a test of what it does itself"


RUN_ALL = """
import json, pathlib, sys
import maskwright
for name, settings in json.loads(sys.argv[1]).items():
    run = maskwright.run(name, settings, seed=1, out=pathlib.Path("runs") / name, pictures=False)
    print(json.dumps([name, maskwright.load(run.folder).last_metrics()]))
"""

RECIPES = {f"acme-{kind}": {} for kind in KINDS if kind != "recipe"} | {
    "acme-recipe-small": {},
    # As shipped it reads the docstrings of all packages, which takes half a minute.
    "acme-evaluator": {"data": {"use": "acme-dataset"}},
}


def test_each_recipe_runs(written: Installed):
    assert len(RECIPES) == 9
    done = written.python("-c", RUN_ALL, json.dumps(RECIPES))
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    metrics = dict(json.loads(line) for line in done.stdout.splitlines())
    assert metrics.keys() == RECIPES.keys()
    assert all(metrics.values()), "each logs something"
    # Two classes, and words of which three in ten tell them apart: more than guessing, less than all.
    assert 0.6 < metrics["acme-dataset"]["classification/accuracy"] < 1
    assert 0.5 < metrics["acme-evaluator"]["acme-evaluator/agreement"] < 1
    assert metrics["acme-pipeline"]["classification/accuracy"] > 0.8
    assert abs(metrics["acme-recipe-small"]["end/estimate"] - 3.1416) < 0.2


CHECK_ALL = """
import json, sys
from maskwright_testing.registry import checks_for
from maskwright_testing.report import component_called, failure_text, run_check
for reference, name in json.loads(sys.argv[1]):
    listed = component_called(reference)
    try:
        run_check(listed, dict(checks_for(listed))[name])
        print(json.dumps("passed"))
    except Exception as error:
        print(json.dumps(failure_text(error)))
"""


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Word of a break -> what the check that guards against it says."""
    folder = tmp_path_factory.mktemp("broken")
    sources = []
    for word, (kind, file, (good, bad), _, _) in BROKEN.items():
        source = write(folder, f"acme-{word}", kind)
        path = source / f"acme_{word}" / file
        text = path.read_text()
        assert text.count(good) >= 1, f"{file} has no {good!r}"
        path.write_text(text.replace(good, bad))
        sources.append(source)
    wanted = [(f"{kind}:acme-{word}", check) for word, (kind, _, _, check, _) in BROKEN.items()]
    done = installed(folder, sources).python("-c", CHECK_ALL, json.dumps(wanted))
    assert done.returncode == 0, done.stderr
    return dict(zip(BROKEN, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("word", BROKEN)
def test_what_is_broken_on_purpose_is_found(verdicts: dict[str, str], word: str):
    assert {kind for kind, *_ in BROKEN.values()} == set(KINDS) and len(BROKEN) >= 16
    assert BROKEN[word][4] in verdicts[word]
