"""Damage to what a run wrote, and slips in what a plugin declares, end in one message that names the place."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from commands import Command
from toyplugin import params as toys

from maskwright import api, hookimpl
from maskwright.catalogue import Listed, empty_catalogue
from maskwright.component import Component
from maskwright.errors import UserError, one_of
from maskwright.params import check_params_class, params, setting, slot
from maskwright.sources import expand


@pytest.fixture
def run(tmp_path: Path) -> Path:
    words = ["evaluators=toy-score", "objective.encoder=toy-counts"]
    return api.run("toy-train", words, out=tmp_path / "a").folder


def only(folder: Path, pattern: str) -> Path:
    return next(iter(sorted(folder.glob(pattern))))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "Expecting property name"),
        ("[1]", "expected a step, a name and a value"),
        ('{"step": 1, "name": "a"}', "expected a step, a name and a value"),
        ('{"step": 1, "name": 5, "value": 1}', "expected a step, a name and a value"),
        ('{"step": "1", "name": "a", "value": 1}', "expected a step, a name and a value"),
        ('{"step": 1, "name": "a", "value": "1"}', "expected a step, a name and a value"),
        ('{"step": 1, "name": "a", "value": true}', "expected a step, a name and a value"),
    ],
)
def test_a_line_of_the_metrics(line: str, why: str, run: Path, here: Command):
    path = run / "metrics.jsonl"
    path.write_text(f"{line}\n" + path.read_text())
    for verb in ("compare", "report"):
        done = here(verb, str(run))
        assert done.returncode == 2
        assert f"maskwright: {path} is damaged\n" in done.stderr
        assert f"{path}, line 1: " in done.stderr and why in done.stderr
        assert "  do:    put the file back from a copy, or run the recipe again" in done.stderr


def stop_before_the_end(run: Path) -> None:
    last = only(run / "checkpoints", "*3")
    shutil.rmtree(last)
    (run / "status.json").write_text('{"status": "interrupted", "step": 2}')


def test_metrics_that_are_shorter_than_at_the_checkpoint(run: Path, here: Command):
    stop_before_the_end(run)
    (run / "metrics.jsonl").write_text("")
    done = here("resume", str(run), "-q")
    assert done.returncode == 2
    assert f"{run / 'metrics.jsonl'} is damaged" in done.stderr
    assert "it holds 0 bytes; when the last checkpoint was made it had " in done.stderr
    assert "--accept-drift goes on without what is lost" in done.stderr
    assert here("resume", str(run), "-q", "--accept-drift").returncode == 0


@pytest.mark.parametrize(
    "name", ["environment.json", "metrics.jsonl", "timing.jsonl", "log.txt", "status.json"]
)
def test_a_folder_in_the_place_of_a_file(name: str, run: Path, here: Command):
    stop_before_the_end(run)
    (run / name).unlink()
    (run / name).mkdir()
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != "lock"}
    done = here("resume", str(run), "-q")
    assert done.returncode == 2
    assert f"{run / name} is " in done.stderr and "  do:    " in done.stderr
    assert {path: path.read_bytes() for path in before} == before


def test_a_finished_run_whose_status_cannot_be_read_does_not_run_again(run: Path, here: Command):
    (run / "status.json").unlink()
    (run / "status.json").mkdir()
    assert "status.json is damaged" in here("resume", str(run)).stderr


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", 5),
        ("step", "1"),
        ("values", []),
        ("tables", []),
        ("tables", {"a": [5]}),
        ("figures", [{"file": 5}]),
        ("files", None),
        ("notes", "a"),
    ],
)
def test_findings_of_another_shape(key: str, value: Any, run: Path, here: Command):
    path = only(run, "artefacts/findings/*/findings.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    done = here("report", str(run))
    assert done.returncode == 2
    assert f"{path} is damaged" in done.stderr and f"{path}, {key}" in done.stderr
    assert "remove its folder; the run's metrics are unharmed" in done.stderr


@pytest.mark.parametrize("line", ["{", "5"])
def test_rows_that_are_no_rows(line: str, run: Path, here: Command):
    path = only(run, "artefacts/findings/*") / "rows.jsonl"
    path.write_text(f'{{"id": "a"}}\n{line}\n')
    done = here("report", str(run))
    assert done.returncode == 2
    assert f"{path}, line 2: " in done.stderr


def test_a_picture_that_is_gone(run: Path, here: Command):
    path = only(run, "artefacts/findings/*/findings.json")
    figure = {"file": "gone.svg", "caption": "gone", "media": "image/svg+xml"}
    path.write_text(json.dumps({**json.loads(path.read_text()), "figures": [figure]}))
    done = here("report", str(run))
    assert done.returncode == 2
    assert f"{path.parent / 'gone.svg'} cannot be read" in done.stderr


def test_a_saved_part_that_cannot_be_read(run: Path, here: Command):
    folder = run / "parts" / "objective.encoder"
    for path in folder.glob("*.*"):
        path.write_bytes(b"{")
    done = here("apply", f"{run}:toy-embed", "some words")
    assert done.returncode == 2
    assert f"the saved part {folder} is damaged" in done.stderr
    assert "put the folder back from a copy, or run the recipe again" in done.stderr


def test_resuming_names_the_file_whose_settings_are_wrong(run: Path, here: Command):
    stop_before_the_end(run)
    (run / "resolved.json").write_text("{}")
    done = here("resume", str(run), "-q")
    assert done.returncode == 2
    assert f"{run / 'resolved.json'}: 1 problem, nothing was started" in done.stderr


def test_a_key_that_is_twice_in_a_json_file(here: Command):
    Path("twice.json").write_text('{"use": "toy-train", "steps": 1, "steps": 2}')
    done = here("check", "twice.json")
    assert done.returncode == 2
    assert 'the key "steps" is there twice in one table' in done.stderr


@pytest.mark.parametrize(
    ("stage", "told"),
    [
        (5, "stages.b  expected a recipe table, found 5"),
        ("gone/x.toml", "stages.b  the recipe file gone/x.toml does not exist"),
    ],
)
def test_the_stage_that_is_wrong_is_named(stage: Any, told: str, here: Command):
    Path("c.json").write_text(json.dumps({"use": "chain", "stages": {"a": "toy-train", "b": stage}}))
    done = here("check", "c.json")
    assert done.returncode == 2 and told in done.stderr
    assert isinstance(stage, int) or "maskwright list recipe" in done.stderr


@pytest.mark.parametrize(
    ("name", "told"), [(5, "evaluators.0.as  expected text, found 5"), ("", "evaluators.0  a name")]
)
def test_names_of_entries_are_text(name: Any, told: str, here: Command):
    Path("n.json").write_text(
        json.dumps({"use": "toy-train", "evaluators": [{"use": "toy-score", "as": name}]})
    )
    done = here("check", "n.json")
    assert done.returncode == 2 and told in done.stderr


def test_what_there_is_where_nothing_is_near():
    assert one_of("zzz", ["a", "b"]) == "; there are: a, b"
    assert one_of("stps", ["steps"]) == ' — did you mean "steps"?'
    assert one_of("zzz", map(str, range(13))).endswith("10, 11, …")
    assert one_of("zzz", []) == ""


@params
class Wrong:
    """A default of the wrong type."""

    count: int = setting("x", help="a number")


@params
class Odd:
    """A slot of no kind."""

    part: Any = slot("gizmo", help="a part")


@pytest.mark.parametrize(
    ("cls", "why"),
    [
        (5, "5 is no Params class; write @params above the class"),
        (Component, "is no Params class"),
        (Wrong, 'the default of count would be refused: expected whole number, found "x" (text)'),
        (Odd, 'the slot "part" is for a "gizmo", which is no kind of component'),
    ],
)
def test_a_class_that_cannot_be_planned_with(cls: Any, why: str):
    with pytest.raises((TypeError, ValueError)) as refused:
        check_params_class(cls)
    assert why in str(refused.value)


def test_a_setting_without_a_type():
    with pytest.raises(TypeError, match="Bare.count: write its type, count: TYPE = …"):

        @params
        class Bare:
            count = setting(5, help="a number")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"name": 5}, "name of a Component: expected text, found 5"),
        ({"summary": None}, "summary of encoder:a: expected text, found None"),
        ({"summary": "two\nlines"}, "summary of encoder:a is 'two\\nlines'"),
        ({"params": "a.b"}, 'params of encoder:a is "a.b"'),
        ({"params": "a.b:c.toml"}, 'params of encoder:a is "a.b:c.toml"'),
        ({"provides": {"poold"}}, 'encoder:a provides the unknown tag "poold" — did you mean "pooled"?'),
    ],
)
def test_a_component_that_is_declared_wrongly(words: dict[str, Any], told: str):
    class Plugin:
        MASKWRIGHT_API = 1

        @hookimpl
        def maskwright_encoders(self):
            return [Component(**{"name": "a", "params": "a.b:C", "summary": "one", **words})]

    made = empty_catalogue()
    made.add_plugin(Plugin(), "acme", "acme", "0.2")
    assert [told in problem.error for problem in made.problems] == [True]
    # A tag that nobody knows is no reason to do without it.
    assert any(x.package == "acme" for x in made.listed) == ("provides" in words)


@pytest.mark.parametrize("value", [5, None, {5}, {""}, [["a"]]])
def test_tags_are_words(value: Any):
    with pytest.raises(TypeError, match="expected a set of words, found"):
        Component("a", "a.b:C", "one", provides=value)


def test_another_kind_has_a_cure(here: Command):
    done = here("check", "toy-train", "data=encoder:toy-hash")
    assert '"encoder:toy-hash" is not a dataset\n' in done.stderr
    assert "maskwright list dataset   shows what is installed" in done.stderr


def test_a_build_that_raises_names_its_plugin(here: Command, monkeypatch: pytest.MonkeyPatch):
    def fails(self: Any) -> None:
        raise RuntimeError("no luck today")

    monkeypatch.setattr(toys.Lines, "_build_part", fails)
    done = here("run", "toy-train", "--out", "b")
    assert done.returncode == 1
    assert "RuntimeError: no luck today (while building dataset:toy-lines of toyplugin 1.0)" in done.stderr


@pytest.mark.parametrize(
    ("text", "why"),
    [(None, "FileNotFoundError"), ("use = ", "is not valid TOML")],
    ids=["gone", "broken"],
)
def test_a_shipped_file_that_is_broken(
    text: str | None,
    why: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    package = tmp_path / f"acme_shipped_{request.node.callspec.id}"
    package.mkdir()
    (package / "__init__.py").touch()
    if text is not None:
        (package / "a.toml").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    made = empty_catalogue()
    made.listed.append(Listed("recipe", Component("acme", f"{package.name}:a.toml", "one"), "acme", "0.2"))
    with pytest.raises(UserError) as refused:
        expand({"use": "acme"}, made, "acme")
    assert f"{package.name}:a.toml" in str(refused.value) and why in str(refused.value)
    assert f"the package {package.name}" in refused.value.where and refused.value.cure
