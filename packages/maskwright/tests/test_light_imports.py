"""What answers without work must not load what only work needs."""

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"torch", "numpy", "rich", "jinja2", "joblib", "matplotlib", "scipy"}

SCRIPT = """
import sys
from maskwright.cli.main import main
code = main(sys.argv[1:])
print("MODULES", *sorted({name.partition(".")[0] for name in sys.modules}))
sys.exit(code)
"""


@pytest.mark.parametrize(
    "words",
    [
        ["list"],
        ["list", "--json"],
        ["doctor"],
        ["check", "recipe.toml"],
        ["check", "toy-train", "objective.encoder=toy-counts", "evaluators=toy-score"],
        ["show", "objective:toy-loss"],
        ["new-recipe", "toy-train"],
    ],
    ids=" ".join,
)
def test_nothing_heavy_is_imported(words: list[str], environment: dict[str, str], tmp_path: Path):
    (tmp_path / "recipe.toml").write_text('use = "toy-train"\nsteps = 5\n')
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    modules = set(done.stdout.rpartition("MODULES")[2].split())
    assert {"maskwright", "toyplugin"} <= modules
    assert not modules & HEAVY


def test_checking_leaves_the_parts_alone(environment: dict[str, str], tmp_path: Path):
    """`check` reads settings; the modules that do the work stay unimported."""
    script = SCRIPT.replace('.partition(".")[0]', "")
    done = subprocess.run(
        [sys.executable, "-c", script, "check", "toy-train"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    modules = set(done.stdout.rpartition("MODULES")[2].split())
    assert "toyplugin.params" in modules
    assert not {"toyplugin.parts", "maskwright.schedules", "maskwright.report"} & modules
