"""Runs of several processes: one owns the folder, the others write nothing. And checkpoints that make way."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from commands import Command

from maskwright import api, checkpoints
from maskwright.catalogue import catalogue
from maskwright.checkpoints import KEEP, all_checkpoints, keep_file, prune_checkpoints, save_checkpoint
from maskwright.errors import UserError
from maskwright.followers import FollowerRun, is_follower


@pytest.mark.parametrize(
    ("variables", "follows"),
    [
        ({}, False),
        ({"RANK": "0", "WORLD_SIZE": "2"}, False),
        ({"RANK": "1", "WORLD_SIZE": "2"}, True),
        ({"RANK": "3"}, False),
        ({"RANK": "1", "WORLD_SIZE": "1"}, False),
        ({"RANK": "one", "WORLD_SIZE": "2"}, False),
    ],
)
def test_who_follows(variables: Mapping[str, str], follows: bool, monkeypatch: pytest.MonkeyPatch):
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert is_follower() is follows


def test_a_follower_runs_the_recipe_and_writes_nothing(command: Command, tmp_path: Path):
    second = {"RANK": "1", "WORLD_SIZE": "2"}
    done = command("run", "toy-train", "steps=5", "--out", "run", env=second)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert not (tmp_path / "run").exists() and not (tmp_path / "runs").exists()
    assert command("run", "toy-train", "steps=5", "--out", "run").returncode == 0
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert command("resume", "run", env=second).returncode == 0
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before


def test_recipes_with_child_runs_are_not_shared(command: Command, tmp_path: Path):
    (tmp_path / "two.toml").write_text(
        'use = "experiment"\nseeds = [0]\nbase = { use = "toy-train" }\narms = { a = {}, b = {} }\n'
    )
    for rank in ("0", "1"):
        done = command("run", "two.toml", "--out", "run", env={"RANK": rank, "WORLD_SIZE": "2"})
        assert done.returncode == 2
        assert "cannot be shared by several processes" in done.stderr and "without torchrun" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_follower_of_a_finished_run_has_nothing_to_do(command: Command):
    assert command("run", "toy-train", "steps=2", "--out", "run").returncode == 0
    done = command("resume", "run", env={"RANK": "1", "WORLD_SIZE": "2", "MASKWRIGHT_TRACE": "1"})
    assert done.returncode == 0, done.stderr


def test_a_follower_has_all_that_a_recipe_may_ask_of_its_run():
    def public(cls: type) -> set[str]:
        return {name for name in dir(cls) if not name.startswith("_")}

    for_owners = {"close", "set_status"}
    states = {"info", "lock", "log_file", "observers", "started", "step_number"}
    assert public(api.Run) - public(FollowerRun) - for_owners - states == set()


def saved(folder: Path, number: int, keep: int = 2, passing: bool = False) -> None:
    save_checkpoint(folder, number, {KEEP: keep_file(keep, frozenset(), passing)})
    prune_checkpoints(folder, keep)


def test_a_passing_checkpoint_makes_way_and_costs_no_other(tmp_path: Path):
    for number, passing in ((10, False), (20, False), (25, True)):
        saved(tmp_path, number, passing=passing)
    assert [c.number for c in all_checkpoints(tmp_path)] == [10, 20, 25]
    saved(tmp_path, 28, passing=True)
    assert [c.number for c in all_checkpoints(tmp_path)] == [10, 20, 28]
    saved(tmp_path, 30)
    assert [c.number for c in all_checkpoints(tmp_path)] == [20, 30]
    latest = checkpoints.latest_checkpoint(tmp_path)
    assert latest is not None and latest.number == 30


def test_a_name_of_two_kinds_is_told_apart_by_kind():
    with pytest.raises(UserError, match='"toy-hash" is the name of several kinds') as caught:
        catalogue().listed.append(_twin())
        try:
            catalogue().find(("encoder", "pipeline"), "toy-hash")
        finally:
            catalogue().listed.pop()
    assert caught.value.cure == 'write "encoder:toy-hash" or "pipeline:toy-hash"'


def _twin() -> Any:
    import attrs

    return attrs.evolve(catalogue().find("encoder", "toy-hash"), kind="pipeline")


def test_results_of_a_pipeline_without_files_need_a_text_suffix(here: Command, tmp_path: Path):
    assert here("run", "toy-train", "steps=2", "-q", "--out", "run").returncode == 0
    done = here("apply", "run:toy-embed", "hello", "--out", "vector.png")
    assert done.returncode == 2
    assert "writes no .png files" in done.stderr and "--out vector.jsonl" in done.stderr
    assert here("apply", "run:toy-embed", "hello", "--out", "vector.jsonl").returncode == 0
    assert '"vector": [' in (tmp_path / "vector.jsonl").read_text()
