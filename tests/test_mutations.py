"""The list of `nox -s mutate` fits the source: each line is there once, each test exists, and there are enough."""

import re
import sys
from pathlib import Path

import pytest
from repository import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import mutate

LISTED = mutate.mutations()


def test_forty_oracles_and_contracts_are_listed() -> None:
    assert len({(mutation.file, mutation.line) for mutation in LISTED}) >= 40


def test_each_line_is_there_once_and_each_test_exists() -> None:
    for mutation in LISTED:
        mutation.applied((ROOT / mutation.file).read_text())
        file, _, name = mutation.test.partition("::")
        function = re.escape(name.partition("[")[0].rpartition("::")[2])
        assert re.search(rf"^\s*def {function}\(", (ROOT / file).read_text(), re.M), mutation.test


def test_a_line_that_is_gone_or_there_twice_is_told() -> None:
    entry = mutate.Mutation(guards="what", file="some.py", line="x = 1", test="t.py::t")
    assert entry.applied("def f():\n    x = 1\n    return x") == "def f():\n    pass\n    return x"
    with pytest.raises(mutate.NotThere, match=re.escape("some.py: 2 lines are 'x = 1', not one (what)")):
        entry.applied("x = 1\nx = 1")
    with pytest.raises(mutate.NotThere, match=re.escape("some.py: 0 lines are 'x = 1', not one (what)")):
        entry.applied("y = 1")


def test_what_is_not_python_without_the_line_is_told() -> None:
    entry = mutate.Mutation(guards="what", file="some.py", line="try:", test="t.py::t")
    with pytest.raises(mutate.NotThere, match="without 'try:' it is not Python"):
        entry.applied("try:\n    x = 1\nfinally:\n    y = 2")


def test_a_test_that_cannot_fail_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "some.py").write_text("def f():\n    x = 1\n    return 2\n")
    (tmp_path / "test_some.py").write_text("import some\n\ndef test_f():\n    assert some.f() == 2\n")
    entry = mutate.Mutation(guards="what", file="some.py", line="x = 1", test="test_some.py::test_f")
    returns = mutate.Mutation(guards="what", file="some.py", line="return 2", test="test_some.py::test_f")
    (tmp_path / "some.py").write_text(entry.applied((tmp_path / "some.py").read_text()))
    assert mutate.run(tmp_path, [entry.test])[0] == mutate.GREEN
    (tmp_path / "some.py").write_text(returns.applied((tmp_path / "some.py").read_text()))
    assert mutate.run(tmp_path, [entry.test])[0] == mutate.RED
