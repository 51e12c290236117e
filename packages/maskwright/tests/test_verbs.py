"""The command line: every verb, what it prints, its exit code."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from commands import Command

from maskwright import api
from maskwright.cli.apply_verb import looks_like_file
from maskwright.cli.run_verbs import for_terminal


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    words = ["objective.encoder=toy-counts", "evaluators=toy-score", "data.count=3"]
    return api.run("toy-train", words, seed=3, out=tmp_path / "trained", pictures=False).folder


def test_run_ends_with_a_table_and_the_report(here: Command):
    done = here("run", "toy-train", "evaluators=toy-score", "--seed", "3", "--out", "a")
    assert done.returncode == 0
    assert "toy-score: scores" in done.stdout
    assert done.stdout.endswith("\nfinished: a/report.html\n")
    assert "steps 3/3" in done.stderr
    quiet = here("run", "toy-train", "-q", "--no-pictures", "--out", "b")
    assert quiet.stderr == ""
    assert quiet.stdout.endswith("\nfinished: b\n")


def test_tables_that_a_terminal_cannot_hold_are_left_to_the_report():
    rows = [{"number": number, "text": "x" * 190} for number in range(30)]
    lines = for_terminal(rows).splitlines()
    assert len(lines) == 1 + 24 + 1 and max(map(len, lines)) == 200
    assert lines[-1] == "  … 6 more rows in the report"
    rows[3] = {"number": 3, "text": "x" * 191}
    assert for_terminal(rows) == "  30 rows, too wide for here: see the report"
    assert len(for_terminal(rows[4:28]).splitlines()) == 1 + 24 and not for_terminal([]).strip()


def test_run_makes_a_folder_of_its_own(here: Command, tmp_path: Path):
    assert here("run", "toy-train", "-q", "--no-pictures").returncode == 0
    assert here("run", "toy-train", "-q", "--no-pictures").returncode == 0
    folders = list((tmp_path / "runs").iterdir())
    assert len(folders) == 2
    assert all("-toy-train-" in folder.name for folder in folders)


def test_options_may_stand_between_settings(here: Command):
    done = here("check", "toy-train", "--seed", "3", "steps=5", "-q", "data.count=2")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_run_never_overwrites_another(here: Command, trained: Path, tmp_path: Path):
    done = here("run", "toy-train", "--out", str(trained))
    assert done.returncode == 2
    assert f"{trained} exists already" in done.stderr
    assert f"maskwright resume {trained}   to go on, or another --out" in done.stderr
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("x")
    done = here("run", "toy-train", "--out", "notes")
    assert (done.returncode, "choose another --out" in done.stderr) == (2, True)
    (tmp_path / "file").write_text("x")
    assert here("run", "toy-train", "--out", "file/below").returncode == 2
    assert here("run", "toy-train", "--out", "x" * 300).returncode == 2
    (tmp_path / "empty").mkdir()
    assert here("run", "toy-train", "-q", "--no-pictures", "--out", "empty").returncode == 0


def test_resume_of_a_finished_run(here: Command, trained: Path):
    done = here("resume", str(trained), "-q", "--no-pictures")
    assert done.returncode == 0
    assert "is finished already; nothing to do" in done.stderr


@pytest.mark.parametrize("verb", ["resume", "report", "compare", "apply", "evaluate"])
def test_what_is_no_run_folder(verb: str, here: Command, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    more = ["with=toy-score"] if verb == "evaluate" else []
    for name, what in (("none", "does not exist"), ("empty", "is not a run folder")):
        done = here(verb, name, *more)
        assert done.returncode == 2
        assert f"maskwright: {name} {what}\n" in done.stderr
        assert "do:    give a folder that holds resolved.json" in done.stderr


def test_evaluate(here: Command, trained: Path):
    done = here("evaluate", str(trained), "with=toy-score", "with.toy-score.bonus=5", "-q", "--out", "judged")
    assert done.returncode == 0, done.stderr
    before = api.load(trained).last_metrics()["toy-score/score"]
    assert before is not None
    assert api.load("judged").last_metrics()["toy-score/score"] == pytest.approx(before + 5)
    done = here(
        "evaluate", str(trained), "with=toy-score", "data=toy-lines", "data.count=9", "-q", "--out", "b"
    )
    assert api.load("b").last_metrics()["toy-score/count"] == 9
    done = here("evaluate", str(trained))
    assert (done.returncode, "say what to evaluate with" in done.stderr) == (2, True)
    done = here("evaluate", str(trained), "with=toy-scoer")
    assert 'there is no evaluator called "toy-scoer" — did you mean "toy-score"?' in done.stderr
    done = here("evaluate", str(trained), "with=toy-score", "on=objective.encodr")
    assert 'has no part "objective.encodr" — did you mean "objective.encoder"?' in done.stderr


def test_apply_prints_or_writes(here: Command, trained: Path, tmp_path: Path):
    done = here("apply", f"{trained}:toy-embed", "text number", "number", "--set", "scale=2")
    items = [json.loads(line) for line in done.stdout.splitlines()]
    counts = api.load(trained).part("objective.encoder").counts
    assert [item["vector"] for item in items] == [
        [2.0 * (counts["text"] + counts["number"])],
        [2.0 * counts["number"]],
    ]
    assert items[0]["text"] == "text number"
    assert here("apply", str(trained), "text").returncode == 0  # the only one that fits
    (tmp_path / "some.jsonl").write_text('{"text": "a"}\n\n{"id": "x", "text": "number"}\n')
    done = here("apply", str(trained), "some.jsonl", "--out", "out.jsonl")
    assert [json.loads(line)["id"] for line in Path("out.jsonl").read_text().splitlines()] == ["1", "x"]
    done = here("apply", str(trained), "some.jsonl", "--out", "out.jsonl")
    assert (done.returncode, "out.jsonl exists already" in done.stderr) == (2, True)


def test_apply_reads_json_lines_from_standard_input(command: Command, trained: Path):
    done = command("apply", "pipeline:toy-shout", "-", text_in='{"text": "a=b"}\n{"text": "half \\ud800"}\n')
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["loud"] for line in done.stdout.splitlines()] == ["A=B!", "HALF \\ud800!"]
    done = command("apply", "pipeline:toy-shout", "-", text_in='{"text": "a"}\n{"text": \n')
    assert (done.returncode, "where: standard input, line 2" in done.stderr) == (2, True)
    done = command("apply", "pipeline:toy-shout", "-", text_in="[1]\n")
    assert "a JSON line must hold an object" in done.stderr


def test_apply_with_the_pipelines_own_writer(here: Command, tmp_path: Path):
    here("apply", "pipeline:toy-shout", "one", "--out", "one.txt", "--set", "mark=?")
    assert Path("one.txt").read_text() == "ONE?"
    (tmp_path / "a.jsonl").write_text(
        "\n".join(
            json.dumps({"id": name, "text": name[:9]}) for name in ["a/b", "a-b", "a-b", "..", "x" * 400]
        )
    )
    done = here("apply", "pipeline:toy-shout", "a.jsonl", "--out", "many")
    assert done.returncode == 0, done.stderr
    assert sorted(path.read_text() for path in Path("many").iterdir()) == [
        "..!",
        "A-B!",
        "A-B!",
        "A/B!",
        "XXXXXXXXX!",
    ]


@pytest.mark.parametrize("argument", ["no/such", "photo.jpg", "./x", "missing.txt"])
def test_what_looks_like_a_file_is_never_text(argument: str, here: Command):
    done = here("apply", "pipeline:toy-shout", argument)
    assert done.returncode == 2
    assert f"there is no file {argument}" in done.stderr
    assert "an argument with a slash or a suffix is a path, never text" in done.stderr


def test_text_is_text(here: Command):
    for text in ("hello", "Mr. Smith went.", "1.5", "either/or is no path? ".strip(), "a" * 5000, "Äpfel"):
        expected = looks_like_file(text)
        assert here("apply", "pipeline:toy-shout", text).returncode == (2 if expected else 0), text[:40]
    assert not looks_like_file("a" * 5000)
    assert not looks_like_file("A sentence that ends.")
    assert looks_like_file("either/or")


def test_pipelines_that_do_not_fit(here: Command, trained: Path):
    done = here("apply", f"{trained}:toy-embd", "x")
    assert (done.returncode, 'has no pipeline "toy-embd" — did you mean "toy-embed"?' in done.stderr) == (
        2,
        True,
    )
    done = here("apply", "pipeline:toy-embd", "x")
    assert 'there is no pipeline called "toy-embd"' in done.stderr
    done = here("apply", f"{trained}:toy-embed", "x", "--set", "scal=2")
    assert 'unknown setting "scal" — did you mean "scale"?' in done.stderr


def test_report_and_compare(here: Command, trained: Path):
    done = here("report", str(trained))
    assert (done.returncode, done.stdout) == (0, f"{trained / 'report.html'}\n")
    here("run", "toy-train", "data.count=9", "-q", "--no-pictures", "--out", "b")
    done = here("compare", str(trained), "b")
    assert done.returncode == 0
    assert "data.count" in done.stdout and "steps" not in done.stdout
    answer = json.loads(here("compare", str(trained), "b", "--json").stdout)
    assert answer["settings"]["data.count"] == ["3", "9"]
    assert answer["metrics"]["toy-score/count"] == [3.0, None]


def test_export_and_import(here: Command, trained: Path, tmp_path: Path):
    done = here("export", str(trained), "counts.json", "--to", "toy-json")
    assert (done.returncode, done.stdout) == (0, "objective.encoder -> counts.json\n")
    assert (here("export", str(trained), "counts.json", "--to", "toy-json")).returncode == 2
    done = here("export", str(trained), "x", "--to", "toy-jsn")
    assert 'cannot be exported to "toy-jsn" — did you mean "toy-json"?' in done.stderr
    done = here("import", "counts.json", "--from", "toy-json", "--out", "b")
    assert done.returncode == 0, done.stderr
    assert api.load("b").part("part").counts == api.load(trained).part("objective.encoder").counts
    assert api.load("b").status["status"] == "finished"
    assert here("evaluate", "b", "with=toy-score", "data=toy-lines", "-q", "--no-pictures").returncode == 0
    done = here("import", "counts.json", "--from", "json", "--out", "c")
    assert (done.returncode, 'nothing imports "json"' in done.stderr) == (2, True)
    assert here("import", "none.json", "--from", "toy-json", "--out", "c").returncode == 2
    assert not (tmp_path / "c").exists()


def test_options_of_an_import_are_the_keyword_arguments_of_what_reads(here: Command, tmp_path: Path):
    (tmp_path / "counts.json").write_text('{"a": 3}')
    words = ["import", "counts.json", "--from", "toy-json", "--out", "a", "--as", "encoder:toy-counts"]
    done = here(*words, "--set", "times=2")
    assert done.returncode == 0, done.stderr
    assert api.load("a").part("part").counts == {"a": 6}
    for text, says in [
        ("time=2", 'this import has no option "time" — did you mean "times"?\n  where: --set time=2\n'
         "  do:    options: times"),
        ("times=two", 'times: expected whole number, found "two"\n  where: --set times=two'),
        ("path=x", "options: times"),
    ]:  # fmt: skip
        done = here(*[*words[:5], "b", *words[6:]], "--set", text)
        assert (done.returncode, says in done.stderr) == (2, True), done.stderr
    assert not (tmp_path / "b").exists()


def test_what_a_file_holds_decides_who_imports_it(here: Command, tmp_path: Path):
    """encoder:toy-counts takes any table, objective:toy-loss one with a weight."""
    (tmp_path / "both.json").write_text('{"weight": 0.25, "counts": {"a": 3}}')
    (tmp_path / "none.json").write_text("[]")
    done = here("import", "both.json", "--from", "toy-json", "--out", "a")
    assert (done.returncode, done.stderr) == (
        2,
        "maskwright: both.json could be read by several components\n"
        "  where: both.json\n"
        '  why:   "toy-json" is read by encoder:toy-counts, objective:toy-loss\n'
        "  do:    say what it is: --as encoder:toy-counts or --as objective:toy-loss\n",
    )
    done = here("import", "none.json", "--from", "toy-json", "--out", "a")
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, "maskwright: nothing recognises none.json")
    done = here("import", "both.json", "--from", "toy-json", "--out", "a", "--as", "encoder:toy-count")
    assert (
        '"encoder:toy-count" does not import "toy-json" — did you mean "encoder:toy-counts"?' in done.stderr
    )
    assert not (tmp_path / "a").exists()
    done = here("import", "both.json", "--from", "toy-json", "--out", "a", "--as", "objective:toy-loss")
    assert done.returncode == 0, done.stderr


def test_an_imported_part_keeps_what_fitted_parts_inside_it_know(here: Command, tmp_path: Path):
    (tmp_path / "both.json").write_text('{"weight": 0.25, "counts": {"a": 3}}')
    here("import", "both.json", "--from", "toy-json", "--out", "a", "--as", "objective:toy-loss")
    assert (tmp_path / "a" / "parts" / "part.encoder" / "counts.json").read_text() == '{"a": 3}'
    assert api.load("a").part("part.encoder").counts == {"a": 3}
    assert api.load("a").part("part").encoder.counts == {"a": 3}


def test_show(here: Command):
    done = here("show", "objective:toy-loss")
    assert done.returncode == 0
    assert "objective:toy-loss  (toyplugin 1.0)" in done.stdout
    assert "encoder: encoder with pooled, default" in done.stdout
    assert (
        "fits: toy-counts, toy-hash, toy-queue; others may, by their settings or by what they wrap"
        in done.stdout
    )
    assert "speed: number > 0 and <= 1, default 0.5" in done.stdout
    assert here("show", "toy-loss").stdout == done.stdout
    done = here("show", "objective:toy-los")
    assert (done.returncode, 'did you mean "toy-loss"?' in done.stderr) == (2, True)
    assert 'there is no kind "objectives"' in here("show", "objectives:x").stderr


def test_show_says_what_is_read_by_its_settings(here: Command):
    lines = here("show", "encoder:toy-bare").stdout.splitlines()
    assert lines[2:4] == ["  reads: text", "  reads by its settings: nothing, as they are by default"]


def test_show_samples(here: Command):
    done = here("show", "dataset:toy-lines", "--sample", "2", "count=9", "--split", "late")
    assert "dataset:toy-lines, split late: 2 of 9 items" in done.stdout
    assert "text: text number 5 of late" in done.stdout
    for words, message in [
        (["dataset:toy-lines", "--sample", "0"], "--sample must be at least 1, found 0"),
        (["dataset:toy-lines", "--sample", "1", "--split", "x"], 'has no split "x"'),
        (["encoder:toy-hash", "--sample", "1"], "encoder:toy-hash has no items to sample"),
        (["dataset:toy-lines", "--sample", "1", "--out", "x.png"], "dataset:toy-lines cannot be drawn"),
    ]:
        done = here("show", *words)
        assert (done.returncode, message in done.stderr) == (2, True)


@pytest.mark.parametrize("name", ["toy-train", "toy-quick", "evaluate", "experiment", "chain"])
def test_new_recipe_is_valid(name: str, here: Command):
    import tomllib

    done = here("new-recipe", name)
    assert done.returncode == 0
    table = tomllib.loads(done.stdout)
    assert table["use"]
    if name.startswith("toy"):
        Path("mine.toml").write_text(done.stdout)
        assert here("check", "mine.toml").returncode == 0


def test_list_one_kind(here: Command):
    assert here("list", "schedules").stdout == here("list", "schedule").stdout
    done = here("list", "shedule")
    assert (done.returncode, 'did you mean "schedule"?' in done.stderr) == (2, True)
    rows = json.loads(here("list", "dataset", "--json").stdout)
    assert {"toy-lines", "subset"} <= {row["name"] for row in rows}


def test_exit_codes(here: Command, monkeypatch: pytest.MonkeyPatch):
    assert here("--version").returncode == 0
    assert here().returncode == 2
    assert here("lst").returncode == 2
    assert 'there is no verb "lst" — did you mean "list"?' in here("lst").stderr
    assert here("run").returncode == 2
    assert here("list", "--colour").returncode == 2
    assert here("run", "toy-train", "--seed", "x").returncode == 2
    assert here("run", "--help").returncode == 0

    def fail(*arguments: object) -> None:
        raise ZeroDivisionError("no luck")

    monkeypatch.setattr("maskwright.cli.catalogue_verbs.list_components", fail)
    done = here("list")
    assert done.returncode == 1
    assert "this should not have happened: ZeroDivisionError: no luck" in done.stderr
    assert "run it again with --debug and report the traceback" in done.stderr
    with pytest.raises(ZeroDivisionError):
        here("list", "--debug")


def test_a_reader_that_goes_away(environment: dict[str, str], tmp_path: Path):
    done = subprocess.run(
        f"{sys.executable} -m maskwright list --json | head -c 1",
        shell=True,
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("[", "")


def test_a_deprecated_component_warns(toys, here: Command):
    import attrs

    place = next(i for i, x in enumerate(toys.listed) if x.name == "toy-hash")
    before = toys.listed[place]
    note = "use toy-counts; goes in API 2"
    toys.listed[place] = attrs.evolve(before, component=attrs.evolve(before.component, deprecated=note))
    try:
        with pytest.warns(DeprecationWarning, match="encoder:toy-hash is deprecated: use toy-counts"):
            here("check", "toy-train")
        assert f"(deprecated: {note})" in here("list", "encoder").stdout
    finally:
        toys.listed[place] = before
