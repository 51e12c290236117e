"""Plugins of others, in thirdparty/, work with packages that have never heard of them.

They are put on the path as if they were installed: their sources beside made-up metadata, and a stand-in for
TensorBoard that steps aside where that is installed. Two more observers make trouble: one raises, and one kills
the process.
"""

import ast
import json
import os
import runpy
import signal
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import attrs
import pytest

from maskwright.metrics import read_metrics
from maskwright_testing import assert_run_folders_equal

THIRDPARTY = Path(__file__).parent / "thirdparty"
STRIPES, TENSORBOARD = THIRDPARTY / "acme-stripes", THIRDPARTY / "acme-tensorboard"
points = runpy.run_path(str(TENSORBOARD / "tests" / "board_files.py"))["points"]

RAISES = """
from maskwright import hookimpl
MASKWRIGHT_API = 1

@hookimpl
def maskwright_metrics(values):
    raise ValueError("no connection")
"""

KILLS = """
import os, signal
from maskwright import hookimpl
MASKWRIGHT_API = 1

@hookimpl
def maskwright_metrics(step):
    if str(step) == os.environ.get("ACME_KILLS_AT"):
        os.kill(os.getpid(), signal.SIGKILL)
"""

LOOP = {"use": "train", "batch": 8, "log_every": 1, "checkpoint_every": 5, "device": "cpu"}
PICTURES = {"use": "shapes", "size": 16, "count": 40, "test_count": 8}
VIT = {"use": "vit", "image": 16, "patch": 4, "width": 16, "depth": 2, "heads": 2}
SAWTOOTH = {"use": "sawtooth", "low": 0.25, "high": 0.75, "teeth": 2}
RECIPES: dict[str, dict[str, Any]] = {
    "mae": {
        **LOOP, "steps": 12, "data": PICTURES,
        "objective": {
            "use": "mae", "masker": "stripes", "ratio": SAWTOOTH, "decoder_width": 8, "decoder_depth": 1,
            "decoder_heads": 2, "encoder": VIT,
        },
    },
    "mlm": {
        **LOOP, "steps": 4,
        "data": {
            "use": "topic-attributes", "count": 60, "test_count": 8, "words": 40, "topics": 2, "length": 12,
        },
        "objective": {
            "use": "mlm", "masker": {"use": "stripes", "width": 3}, "ratio": 0.3,
            "encoder": {
                "use": "text", "length": 16, "width": 16, "depth": 1, "heads": 2,
                "codec": {"use": "subwords", "model": "words", "vocabulary": 60},
            },
        },
    },
    "cap": {
        **LOOP, "steps": 10, "data": PICTURES,
        "objective": {
            "use": "cap", "prc": False, "snc": False, "importance_items": 16, "pruned": "neurons",
            "chooser": {"use": "stripes", "width": 8},
            "sparsity": {"use": "sawtooth", "low": 0.0, "high": 0.5, "teeth": 1, "rise": 0.5},
            "inner": {"use": "classify", "classes": 6, "encoder": VIT},
        },
    },
}  # fmt: skip

RUN_ALL = """
import json, sys
import maskwright
recipes = json.load(open(sys.argv[1]))
for name, recipe in recipes.items():
    run = maskwright.run(recipe, seed=3, out=name, pictures=False)
objective = {name: run.part("objective") for name in recipes for run in [maskwright.load(name)]}
maskers = [objective["mae"].masker, objective["mlm"].masker, objective["cap"].chooser]
cap = recipes["cap"]
cap["objective"]["sparsity"]["teeth"] = 3
print(json.dumps({
    "maskers": [type(masker).__module__ for masker in maskers],
    "refused": [str(mistake) for mistake in maskwright.plan(cap).mistakes],
}))
"""


@attrs.frozen
class Installed:
    """An empty folder, and the environment of a process that finds the plugins installed."""

    folder: Path
    environment: dict[str, str]

    def python(
        self, *words: str | Path, cwd: Path | None = None, **more: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *map(str, words)],
            env={**self.environment, **more},
            cwd=cwd or self.folder,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )


def write_metadata(site: Path, name: str, version: str, entry: str, module: str) -> None:
    """What an installer leaves of a package beside its modules."""
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[maskwright]\n{entry} = {module}\n")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("thirdparty")
    site = folder / "site"
    site.mkdir()
    for plugin in (STRIPES, TENSORBOARD):
        project = tomllib.loads((plugin / "pyproject.toml").read_text())["project"]
        ((entry, module),) = project["entry-points"]["maskwright"].items()
        write_metadata(site, project["name"], project["version"], entry, module)
    for name, text in (("acme_raises", RAISES), ("acme_kills", KILLS)):
        (site / f"{name}.py").write_text(text)
        write_metadata(site, name, "1.0", name, name)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MASKWRIGHT_", "ACME_"))}
    path = [site, STRIPES / "src", TENSORBOARD / "src", TENSORBOARD / "tests" / "stand_in"]
    environment = {
        **kept,
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "MASKWRIGHT_STRICT": "1",
    }
    return Installed(folder, environment)


def test_they_import_nothing_private():
    files = [path for plugin in (STRIPES, TENSORBOARD) for path in sorted(plugin.rglob("*.py"))]
    assert len(files) >= 10
    found = set()
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("maskwright"):
                found |= {f"{node.module}.{name.name}" for name in node.names}
    assert "maskwright_torch.masking.hide_lowest" in found
    assert not [name for name in found if any(word.startswith("_") for word in name.split("."))]


def test_they_are_listed_with_where_they_come_from(installed: Installed):
    done = installed.python("-m", "maskwright", "list", "--json")
    assert done.returncode == 0, done.stderr
    rows = [row for row in json.loads(done.stdout) if row["package"].startswith("acme")]
    assert {(row["kind"], row["name"], row["package"], row["version"]) for row in rows} == {
        ("masker", "stripes", "acme-stripes", "1.2.0"),
        ("schedule", "sawtooth", "acme-stripes", "1.2.0"),
    }


def own_tests(installed: Installed, plugin: Path) -> list[str]:
    """Names of the plugin's own tests that passed, all that are not skipped; run in its folder, as its authors do."""
    report = installed.folder / f"{plugin.name}.xml"
    options = ["-q", "-p", "no:cacheprovider", f"--junit-xml={report}"]
    done = installed.python("-m", "pytest", *options, cwd=plugin)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    return [
        case.get("name", "")
        for case in ElementTree.parse(report).iter("testcase")
        if case.find("skipped") is None
    ]


def test_masker_and_schedule_keep_their_contracts(installed: Installed):
    passed = own_tests(installed, STRIPES)
    for component, least in (("masker:stripes", 15), ("schedule:sawtooth", 12)):
        assert sum(name.startswith(f"test_contracts[{component}-check_") for name in passed) >= least
    assert "test_stripes_in_a_line_are_regular_and_begin_anywhere" in passed


def test_the_observer_passes_its_own_tests(installed: Installed):
    passed = own_tests(installed, TENSORBOARD)
    assert "test_a_resumed_run_shows_each_step_once" in passed
    assert "test_without_tensorboard_one_line_says_so_and_the_run_goes_on" in passed


@attrs.frozen
class Done:
    """What the process that ran the three recipes left and said."""

    folder: Path
    stderr: str
    told: dict[str, Any]

    def logged(self, recipe: str) -> list[tuple[int, str, float]]:
        return [
            (entry["step"], entry["name"], entry["value"]) for entry in read_metrics(self.folder / recipe)
        ]

    def series(self, recipe: str, name: str) -> list[float]:
        return [value for _, metric, value in self.logged(recipe) if metric == name]


@pytest.fixture(scope="module")
def done(installed: Installed) -> Done:
    file = installed.folder / "recipes.json"
    file.write_text(json.dumps(RECIPES))
    (installed.folder / "mae.json").write_text(json.dumps(RECIPES["mae"]))
    ended = installed.python("-c", RUN_ALL, file)
    assert ended.returncode == 0, ended.stdout + ended.stderr[-3000:]
    return Done(installed.folder, ended.stderr, json.loads(ended.stdout.splitlines()[-1]))


def test_pictures_are_hidden_in_stripes_under_the_sawtooth(done: Done):
    ratios = [0.25 + 0.5 * (2 * number / 12 % 1) for number in range(12)]
    wanted = [int(ratio * 16 + 0.5) / 16 for ratio in ratios]
    assert min(wanted) == 0.25 and max(wanted) > 0.6, "it rises twice"
    assert done.series("mae", "train/hidden") == pytest.approx(wanted)


def test_texts_are_hidden_in_stripes(done: Done):
    shares = done.series("mlm", "train/hidden")
    assert len(shares) == 4
    assert shares == pytest.approx([0.3] * 4, abs=0.05), "an exact count of the tokens of each text"


def test_the_sawtooth_says_how_much_is_pruned_and_stripes_say_what(done: Done):
    gone = done.series("cap", "train/sparsity")
    assert gone == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.5, 0.5, 0.5], abs=0.01)
    assert done.told["maskers"] == ["acme_stripes.stripes"] * 3


def test_a_sawtooth_that_falls_is_refused_as_a_sparsity(done: Done):
    (refused,) = done.told["refused"]
    assert refused.startswith("objective.sparsity: must never fall, found 0.5 before ")


@pytest.mark.parametrize("recipe", ["mae", "mlm", "cap"])
def test_the_observer_sees_every_metric(done: Done, recipe: str):
    logged = done.logged(recipe)
    assert len(logged) >= 12
    shown = points(done.folder / recipe / "tensorboard")
    assert [(step, name) for step, name, _ in shown] == [(step, name) for step, name, _ in logged]
    assert [value for *_, value in shown] == pytest.approx([value for *_, value in logged], rel=1e-6)


def test_an_observer_that_raises_is_switched_off_and_the_run_finishes(done: Done):
    said = "observer acme_raises:acme_raises failed in maskwright_metrics and is switched off for this run"
    assert done.stderr.count(f"{said} (ValueError: no connection)") == 3, "once in each run"
    for recipe in RECIPES:
        assert json.loads((done.folder / recipe / "status.json").read_text())["status"] == "finished"


def test_a_run_that_is_killed_and_resumed_ends_the_same(installed: Installed, done: Done):
    out = installed.folder / "killed"
    words = ("-m", "maskwright", "run", "mae.json", "--seed", "3", "-q", "--no-pictures", "--out", out)
    killed = installed.python(*words, ACME_KILLS_AT="8")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    before = {step for step, *_ in points(out / "tensorboard")}
    assert before >= {1, 2, 3, 4, 5}, "on the disk with the checkpoint"
    resumed = installed.python("-m", "maskwright", "resume", out, "-q", "--no-pictures")
    assert resumed.returncode == 0, resumed.stderr
    assert_run_folders_equal(done.folder / "mae", out)
    assert points(out / "tensorboard") == points(done.folder / "mae" / "tensorboard"), (
        "no step twice, none missing"
    )


WITHOUT_TENSORBOARD = """
import sys
sys.modules["tensorboard"] = None
from maskwright.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_without_tensorboard_a_run_says_so_and_finishes(installed: Installed):
    words = [
        "run",
        "joint-dag",
        "data.tasks=2",
        "data.variables=5",
        "-q",
        "--no-pictures",
        "--out",
        "without",
    ]
    ended = installed.python("-c", WITHOUT_TENSORBOARD, *words)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("acme-tensorboard: TensorBoard is not installed (") == 1
    assert read_metrics(installed.folder / "without")
    assert not (installed.folder / "without" / "tensorboard").exists()
