"""What is on the board is what the run has logged: once each, after an interruption too; a run never needs it."""

import math
import sys
from pathlib import Path

import counting
import pytest
from acme_tensorboard import boards
from board_files import files, points, starts

import maskwright
from maskwright import api
from maskwright_testing import assert_run_folders_equal


def count(folder: Path, **settings):
    return maskwright.run({"use": "count", **settings}, out=folder, pictures=False).folder


def plain(found):
    """As triples that compare equal: NaN as None."""
    return [(step, name, None if math.isnan(value) else value) for step, name, value in found]


def logged(run: Path):
    return [(entry["step"], entry["name"], entry["value"]) for entry in maskwright.load(run).metrics()]


@pytest.fixture
def interrupted(tmp_path):
    """A run that was interrupted after it had logged step 5; its checkpoint is of step 4."""
    counting.INTERRUPTED_AT.append(5)
    with pytest.raises(KeyboardInterrupt):
        count(tmp_path / "stopped")
    return tmp_path / "stopped"


def test_every_metric_is_there_with_its_step(tmp_path):
    run = count(tmp_path / "run")
    found = plain(points(run / "tensorboard"))
    assert found == logged(run)
    assert found[:3] == [(1, "train/half", 0.5), (1, "train/odd", None), (2, "train/half", 1.0)]
    assert found[-1] == (6, "end/steps", 6.0) and len(found) == 13
    assert starts(run / "tensorboard") == []


def test_a_resumed_run_shows_each_step_once(interrupted, tmp_path):
    board = interrupted / "tensorboard"
    assert [step for step, name, _ in points(board) if name == "train/half"] == [1, 2, 3, 4, 5]
    run = api.resume(interrupted, pictures=False).folder
    assert plain(points(board)) == logged(run), "5 is logged twice, and shown once"
    assert len(files(board)) == 1
    assert starts(board) == [0], "a server that is running forgets the file that is gone"


def test_what_never_reached_the_disk_is_there_after_resuming(interrupted):
    (old,) = files(interrupted / "tensorboard")
    old.write_bytes(b"")
    run = api.resume(interrupted, pictures=False).folder
    assert plain(points(run / "tensorboard")) == logged(run)


def test_resuming_with_the_plugin_ends_as_an_undisturbed_run(interrupted, tmp_path):
    api.resume(interrupted, pictures=False)
    assert_run_folders_equal(count(tmp_path / "whole"), interrupted)


def test_files_of_others_are_left_alone(interrupted):
    other = interrupted / "tensorboard" / "events.out.tfevents.0000000001.host.1.0"
    other.write_bytes(b"")
    api.resume(interrupted, pictures=False)
    assert other in files(other.parent) and len(files(other.parent)) == 2


def test_the_disk_is_up_to_date_at_each_checkpoint(tmp_path, monkeypatch):
    seen = []

    def look(run, step):
        seen.append((step, max((at for at, _, _ in points(run / "tensorboard")), default=0)))

    monkeypatch.setattr(counting, "AFTER_CHECKPOINT", [look])
    count(tmp_path / "run")
    assert seen == [(2, 2), (4, 4), (6, 6)]


def test_a_folder_of_its_own_for_all_runs(tmp_path, monkeypatch):
    monkeypatch.setenv(boards.FOLDER_VARIABLE, str(tmp_path / "all"))
    monkeypatch.chdir(tmp_path)
    runs = [count(Path("a") / "run"), count(tmp_path / "b" / "run", steps=2)]
    for run in runs:
        assert not (run / "tensorboard").exists()
        board = tmp_path / "all" / str(run.resolve()).lstrip("/")
        assert plain(points(board)) == logged(run)


def test_a_run_within_a_run_has_its_own_board(tmp_path):
    run = count(tmp_path / "run", inner=True)
    assert len(points(run / "tensorboard")) == 13
    assert plain(points(run / "inner" / "tensorboard")) == logged(run / "inner")
    assert not boards._open_boards


def test_without_tensorboard_one_line_says_so_and_the_run_goes_on(tmp_path, monkeypatch, capsys):
    for name in {"tensorboard", *(name for name in sys.modules if name.startswith("tensorboard."))}:
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("one", "two"):
        run = count(tmp_path / name)
        assert maskwright.load(run).status["status"] == "finished"
        assert not (run / "tensorboard").exists()
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1, "once for both runs"
    assert said[0].startswith("acme-tensorboard: TensorBoard is not installed (")
    assert said[0].endswith('so it is shown nothing of this run; pip install "acme-tensorboard[tensorboard]"')


def test_a_folder_that_cannot_be_written_costs_the_board_and_not_the_run(tmp_path, monkeypatch, capsys):
    (tmp_path / "taken").write_text("a file")
    monkeypatch.setenv(boards.FOLDER_VARIABLE, str(tmp_path / "taken"))
    run = count(tmp_path / "run")
    assert maskwright.load(run).status["status"] == "finished"
    said = capsys.readouterr().err
    assert said.count("the observer tensorboard failed in maskwright_metrics and is switched off") == 1
    assert "taken" in said
