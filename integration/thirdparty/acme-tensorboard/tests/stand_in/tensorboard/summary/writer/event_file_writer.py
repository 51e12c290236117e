"""Stands in for TensorBoard's writer of event files: an event is a line of JSON, and waits in memory until a flush."""

import dataclasses
import itertools
import json
import os
import socket
import time
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event

_numbers = itertools.count()


class EventFileWriter:
    def __init__(self, logdir, max_queue_size=10, flush_secs=120, filename_suffix=""):
        os.makedirs(logdir, exist_ok=True)
        words = (f"{int(time.time()):010d}", socket.gethostname(), str(os.getpid()), str(next(_numbers)))
        self.path = Path(logdir) / f"events.out.tfevents.{'.'.join(words)}{filename_suffix}"
        self.waiting = []
        self.add_event(Event(wall_time=time.time(), file_version="brain.Event:2"))
        self.flush()

    def add_event(self, event):
        if not isinstance(event, Event):
            raise TypeError(f"expected an Event, found {type(event)}")
        self.waiting.append(json.dumps(dataclasses.asdict(event)))

    def flush(self):
        with self.path.open("a") as file:
            file.writelines(f"{line}\n" for line in self.waiting)
        self.waiting = []

    def close(self):
        self.flush()
