"""Which contracts broke on the released core, as doctor prints it."""

import subprocess
import sys

import pytest
from repository import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import released_core

PRINTED = """\
masker:lowest  ran 17, passed 16, failed 1
  check_masker_shape: (2, 3), expected (2, 4)
objective:cap  ran 21, passed 21, skipped 3 (2 × it has the tag whole-batch)
evaluator:latency  ran 14, passed 13, failed 1, skipped 2 (1 × it draws no figures)
maskwright-cap: ran 52, passed 50, failed 2
"""


@pytest.mark.parametrize(
    ("code", "printed", "broken"),
    [
        (1, PRINTED, ["masker:lowest", "evaluator:latency"]),
        (0, "objective:cap  ran 21, passed 21\nmaskwright-cap: ran 21, passed 21\n", []),
        (2, "maskwright: no component is called that\n", ["maskwright-cap"]),
    ],
)
def test_broken_contracts_are_named(
    code: int, printed: str, broken: list[str], monkeypatch: pytest.MonkeyPatch
):
    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, code, printed, "")

    monkeypatch.setattr(released_core.subprocess, "run", run)
    assert released_core.failing("maskwright-cap") == broken
