"""Reads event files back: those of TensorBoard, and those of the stand-in."""

import json
import struct
from pathlib import Path

HEADER, FOOTER = 12, 4
"""Bytes around each record: its length as uint64 and a checksum before it, a checksum after it."""


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("events.out.tfevents.*"))


def points(folder: Path) -> list[tuple[int, str, float]]:
    """(step, metric, value) of everything in the event files of a folder, in order."""
    return [(step, tag, value) for step, values, _ in _events(folder) for tag, value in values]


def starts(folder: Path) -> list[int]:
    """The steps from which on a server is told to forget what it has read."""
    return [step for step, _, status in _events(folder) if status == 1]


def _events(folder: Path):
    """(step, [(metric, value)], status of the session: 1 where one starts) of each event."""
    for path in files(folder):
        data = path.read_bytes()
        yield from _of_json(data) if data.startswith(b"{") else _of_records(data)


def _of_json(data: bytes):
    for line in data.decode().splitlines():
        event = json.loads(line)
        summary, session = event["summary"] or {"value": []}, event["session_log"] or {"status": 0}
        yield event["step"], [(v["tag"], v["simple_value"]) for v in summary["value"]], session["status"]


def _of_records(data: bytes):
    from tensorboard.compat.proto.event_pb2 import Event

    at = 0
    while at + HEADER <= len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        end = at + HEADER + length
        if end + FOOTER > len(data):
            return  # of a process that was killed: half a record
        event = Event.FromString(data[at + HEADER : end])
        yield event.step, [(v.tag, v.simple_value) for v in event.summary.value], event.session_log.status
        at = end + FOOTER
