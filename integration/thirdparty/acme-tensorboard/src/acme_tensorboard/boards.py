"""The event files of each open run, kept equal to the metrics of the run.

A run that goes on after a kill logs once more what it had logged since its last checkpoint, and of what TensorBoard's
writer was given before, the last part may never have reached the disk. So the files of a run that goes on are written
anew, from the metrics that the run itself has kept up to that checkpoint.
"""

import functools
import math
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import maskwright

FOLDER_VARIABLE = "ACME_TENSORBOARD"
SUFFIX = ".maskwright"
"""Ends the names of our event files: only those are ever removed."""


class Board:
    """What TensorBoard shows of one run. The file is opened with the first metric."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.writer: Any = None

    def add(self, step: int, values: Mapping[str, float | None]) -> None:
        """Metrics after `step` steps; None stands for a value that was not finite."""
        tensorboard = _tensorboard()
        if tensorboard is None:
            return
        if self.writer is None:
            self.writer = self._open(tensorboard)
        entries = [tensorboard.Summary.Value(tag=name, simple_value=_shown(values[name])) for name in values]
        summary = tensorboard.Summary(value=entries)
        self.writer.add_event(tensorboard.Event(wall_time=time.time(), step=int(step), summary=summary))

    def _open(self, tensorboard: SimpleNamespace) -> Any:
        """A new file in the place of those from before an interruption."""
        old = list(self.folder.glob(f"events.out.tfevents.*{SUFFIX}"))
        for path in old:
            path.unlink()
        writer = tensorboard.EventFileWriter(str(self.folder), filename_suffix=SUFFIX)
        if old:
            # A server that has read the old file forgets what it read, from step 0 on.
            start = tensorboard.SessionLog(status=tensorboard.SessionLog.START)
            writer.add_event(tensorboard.Event(wall_time=time.time(), step=0, session_log=start))
        return writer

    def flush(self) -> None:
        if self.writer is not None:
            self.writer.flush()

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()


def _shown(value: float | None) -> float:
    """The same whether it comes from a hook or from a file of metrics, which holds no infinity."""
    return float(value) if value is not None and math.isfinite(value) else math.nan


@functools.cache
def _tensorboard() -> SimpleNamespace | None:
    """What is used of TensorBoard; None where it is not installed, which is said once in each process."""
    try:
        # Not torch.utils.tensorboard, which writes through these same modules and needs torch besides.
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ModuleNotFoundError as error:
        print(
            f"acme-tensorboard: TensorBoard is not installed ({error}), so it is shown nothing of this run; "
            'pip install "acme-tensorboard[tensorboard]"',
            file=sys.stderr,
        )
        return None
    return SimpleNamespace(
        Event=Event, SessionLog=SessionLog, Summary=Summary, EventFileWriter=EventFileWriter
    )


# -- the boards of this process ------------------------------------------------------------------------------

_open_boards: dict[Path, Board] = {}
"""Several where a run starts other runs: it stays open while they work."""


def begin(run_folder: Path) -> None:
    """A run begins or goes on; what it has kept of its metrics until now is written first."""
    board = _open_boards[run_folder] = Board(place_of(run_folder))
    for entry in maskwright.load(run_folder).metrics():
        board.add(entry["step"], {entry["name"]: entry["value"]})


def of(run_folder: Path) -> Board:
    return _open_boards[run_folder]


def end(run_folder: Path) -> None:
    _open_boards.pop(run_folder).close()


def place_of(run_folder: Path) -> Path:
    """Where the event files of a run are; two runs never share a place."""
    elsewhere = os.environ.get(FOLDER_VARIABLE)
    if not elsewhere:
        return run_folder / "tensorboard"
    # The whole path without its first slash: runs of the same name in different folders are different runs.
    return Path(elsewhere).joinpath(*run_folder.resolve().parts[1:])
