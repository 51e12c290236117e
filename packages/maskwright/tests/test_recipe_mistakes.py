"""Every mistake of a recipe comes in one answer, with its path, what fits and the nearest name; nothing is started."""

from pathlib import Path

import pytest
from commands import Command

from maskwright.planning import plan

EIGHT = """
use = "toy-train"
stepz = 5
every = 0
pause = "1"
data = { use = "toy-lines", count = 3.7, labels = false }
evaluators = ["toy-scoer", { use = "toy-score", on = "objective.encodr" }]
[objective]
use = "toy-loss"
encoder = "toy-bare"
kind = "median"
"""


def test_eight_mistakes_eight_errors_nothing_started(command: Command, tmp_path: Path):
    (tmp_path / "eight.toml").write_text(EIGHT)
    for words in (["check", "eight.toml"], ["run", "eight.toml"], ["run", "eight.toml", "--out", "a/b"]):
        done = command(*words)
        assert done.returncode == 2
        assert done.stdout == ""
        head, *rows = done.stderr.splitlines()
        found = {row.split()[0]: " ".join(row.split()[1:]) for row in rows if not row.startswith("   ")}
        assert head == f"maskwright: eight.toml: {len(found)} problems, nothing was started"
        expected = {
            "stepz": 'unknown setting "stepz" — did you mean "steps"?',
            "every": "must be >= 1, found 0",
            "pause": 'expected number, found "1" (text)',
            "data.count": "expected whole number, found 3.7 (number)",
            "evaluators.toy-scoer": 'there is no evaluator called "toy-scoer" — did you mean "toy-score"?',
            "evaluators.toy-score.on": 'there is no part "objective.encodr" — did you mean "objective.encoder"?',
            "objective.encoder": "objective:toy-loss needs pooled; encoder:toy-bare provides nothing. "
            "Fits: toy-counts (toyplugin), toy-hash (toyplugin), toy-queue (toyplugin)",
            "objective.kind": 'expected one of "mean", "sum", found "median" (text)',
        }
        assert found == expected
    assert [path.name for path in tmp_path.iterdir()] == ["eight.toml"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("use = ", ["recipe.toml is not valid TOML", "Invalid value", "see https://toml.io"]),
        ("", ["recipe.toml: 1 problem", '(recipe)  needs use = "name" of a recipe']),
        ('use = "toy-lines"', ['there is no recipe called "toy-lines" — there is a dataset of that name']),
        ('use = "dataset:toy-lines"', ['"dataset:toy-lines" is not a recipe']),
        ("use = 5", ["use", "expected the name of a recipe, found 5"]),
        ('use = "toy-trian"', ['there is no recipe called "toy-trian" — did you mean "toy-train"?']),
        ('use = "toy-train"\nseed = -1', ["seed", "must be >= 0, found -1"]),
        ('use = "toy-train"\nseed = "3"', ["seed", 'expected whole number, found "3" (text)']),
        ('use = "toy-train"\ndata = 5', ["data", "expected dataset, found 5"]),
        ('use = "toy-train"\ndata = true', ["data", "expected dataset, found true"]),
        ('use = "toy-train"\ndata = [1]', ["data", "expected dataset, found [1]"]),
        ('use = "toy-train"\ndata = 2026-01-01', ["data", "expected dataset, found"]),
        ('use = "toy-train"\ndata = "none"', ["data", "is required: dataset"]),
        ('use = "toy-train"\nsteps = 2026-01-01', ["steps", "expected whole number, found"]),
        ('use = "toy-train"\nobjective.ratio = nan', ["objective.ratio.value", "expected a finite number"]),
        ('use = "toy-train"\nevaluators = 5', ["evaluators", "expected list of evaluator, found 5"]),
        ('use = "toy-train"\nevaluators = [5]', ["evaluators.0", "expected evaluator, found 5"]),
        (
            'use = "toy-train"\nevaluators = ["toy-score", "toy-score"]',
            ["evaluators.toy-score", 'two entries have this name; give each its own  as = "..."'],
        ),
        (
            'use = "toy-train"\nevaluators = [{ use = "toy-score", as = "a/../b" }]',
            ["a name is made of a-z, A-Z, 0-9, - and _"],
        ),
        (
            'use = "toy-train"\nevaluators = [{ use = "toy-score", as = "a@../../b" }]',
            ["a name is made of a-z, A-Z, 0-9, - and _"],
        ),
        (
            'use = "toy-train"\nevaluators = [{ use = "toy-score", every = 0 }]',
            ["evaluators.toy-score.every", "must be >= 1, found 0"],
        ),
        ('use = "subset"', ['there is no recipe called "subset"']),
        (
            'use = "toy-train"\nobjective = { encoder = { use = "toy-counts", smallest = 13 } }',
            ["objective.encoder.smallest", "13 brings bad luck"],
        ),
        (
            'use = "toy-train"\nobjective.ratio = { use = "constant" }',
            ["objective.ratio.value", "is required: number — the value"],
        ),
    ],
)
def test_one_mistake(text: str, parts: list[str], here: Command, tmp_path: Path):
    (tmp_path / "recipe.toml").write_text(text)
    done = here("run", "recipe.toml", "--out", "a")
    assert done.returncode == 2, done.stderr
    assert "  do:" in done.stderr or "nothing was started" in done.stderr
    for part in parts:
        assert part in done.stderr
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("bad.json", b"{", "bad.json is not valid JSON"),
        ("list.json", b"[1]", "list.json holds a list, not a table"),
        ("latin.toml", b'use = "\xe4"', "latin.toml is not UTF-8 text"),
        (
            "deep.json",
            b'{"use": "toy-train", "values": ' + b"[" * 500 + b"]" * 500 + b"}",
            "nested more than 64 deep",
        ),
        ("deeper.json", b"[" * 100_000, "deeper.json cannot be read"),
        ("large.toml", b"#" * 5_000_000, "large.toml is too large for a recipe"),
        ("long.json", b'{"use": "toy-train", "steps": ' + b"9" * 5000 + b"}", "long.json cannot be read"),
        ("half.json", b'{"use": "toy-train", "data": {"path": "\\ud800"}}', "half.json cannot be read"),
    ],
)
def test_a_file_that_is_no_recipe(name: str, content: bytes, what: str, here: Command, tmp_path: Path):
    (tmp_path / name).write_bytes(content)
    done = here("run", name, "--out", "a")
    assert done.returncode == 2, done.stderr
    assert what in done.stderr
    assert not (tmp_path / "a").exists()


def test_a_file_that_is_not_there(here: Command, tmp_path: Path):
    done = here("check", "no/such.toml")
    assert done.returncode == 2
    assert "the recipe file no/such.toml does not exist" in done.stderr
    assert "maskwright list recipe   shows recipes by name" in done.stderr
    (tmp_path / "mine.toml").write_text('use = "toy-train"')
    assert "maskwright run ./mine.toml" in here("check", "mine").stderr
    for long in ("a" * 300, "a/" + "b" * 300, "a" * 300 + ".toml"):
        assert here("check", long).returncode == 2
        assert here("check", "toy-train", f"data={long}").returncode == 2
        assert here("check", "toy-train", f"data.path={long}").returncode in (0, 2)


def test_recipes_in_a_circle(here: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("maskwright.sources.shipped_text", lambda params: 'use = "toy-quick"\n')
    done = here("check", "toy-quick")
    assert done.returncode == 2
    assert "recipe files refer to each other in a circle: toy-quick@toyplugin" in done.stderr


def test_a_sound_recipe_says_so(here: Command):
    done = here("check", "toy-quick", "--seed", "4")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "toy-quick: fine — recipe:toy-train with 4 parts, seed 4\n"


def test_a_wrong_setting_hides_no_other_mistake():
    made = plan("toy-train", ["objective.speed=x", "objective.encoder=toy-bare", "data.count=0"])
    assert sorted(m.path for m in made.mistakes) == ["data.count", "objective.encoder", "objective.speed"]
