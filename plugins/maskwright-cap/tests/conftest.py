"""What tests of whole pruning runs share: a catalogue of toys, and runs that are made once and then only read."""

from collections.abc import Iterator
from typing import Any

import cap_toys
import pytest
from cap_toys import toys_alone

from maskwright import api


@pytest.fixture
def toys() -> Iterator[None]:
    """For whole runs: no other component is there."""
    with toys_alone():
        yield


@pytest.fixture(scope="session")
def taught(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Settings with everything on, and the teacher they need."""
    with toys_alone():
        made = cap_toys.run(tmp_path_factory.mktemp("teacher") / "run", cap_toys.TEACHER)
    return {
        "objective__teacher": {"use": "from-run", "run": str(made.folder), "part": "objective"},
        "objective__fic": True,
        "objective__kd": 0.9,
        "objective__task": 0.1,
    }


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> api.LoadedRun:
    """The small recipe as it is."""
    with toys_alone():
        return cap_toys.run(tmp_path_factory.mktemp("small") / "run")
