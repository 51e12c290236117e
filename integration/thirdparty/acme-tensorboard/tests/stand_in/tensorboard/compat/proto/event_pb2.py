"""Stands in for the messages of TensorBoard; as strict about types as those are."""

from dataclasses import dataclass

from tensorboard.compat.proto.summary_pb2 import Summary


@dataclass(kw_only=True)
class SessionLog:
    status: int = 0


SessionLog.START = 1


@dataclass(kw_only=True)
class Event:
    wall_time: float = 0.0
    step: int = 0
    file_version: str = ""
    summary: Summary | None = None
    session_log: SessionLog | None = None

    def __post_init__(self):
        if type(self.step) is not int or not isinstance(self.wall_time, float):
            raise TypeError(f"bad argument: {self}")
