"""Recipes with and without faults; a module of its own, because other processes import it."""

import json
import os
from pathlib import Path
from typing import Any

from maskwright.params import params, setting
from maskwright.runs import Run


class Counter:
    """Adds up its steps' numbers, and saves the sum after every step."""

    def __init__(self, steps: int, fault: str) -> None:
        self.steps, self.fault = steps, fault

    def run(self, run: Run) -> None:
        latest = run.latest()
        total, begin = 0, 0
        if latest is not None and self.fault != "begins anew":
            total, begin = json.loads(latest.read("sum.json")), latest.number
        if self.fault == "forgets":
            total = 0
        for number in range(begin, self.steps):
            total += run.step(number, self.steps).stream("number") % 100
            if self.fault == "by process":
                total += os.getpid()
            if self.fault != "logs nothing":
                run.log(number + 1, {"sum": float(total)})
            run.checkpoint(number + 1, {"sum.json": json.dumps(total).encode()})
        if self.fault == "refuses" and latest is not None:
            raise RuntimeError("it was interrupted once")
        run.artefact("sum.txt", str(total).encode())


@params
class Sum:
    """Add up numbers."""

    steps: int = setting(6, ge=1, help="numbers to add up")
    fault: str = setting("", help="what is wrong with it")

    def build(self) -> Any:
        return Counter(self.steps, self.fault)

    @classmethod
    def example(cls) -> Any:
        return cls()


class Forgets(Sum):
    """Does not add to what it saved."""

    @classmethod
    def example(cls) -> Any:
        return cls(fault="forgets")


class BeginsAnew(Sum):
    """Ignores the checkpoint."""

    @classmethod
    def example(cls) -> Any:
        return cls(fault="begins anew")


class LogsNothing(Sum):
    """Has no metrics."""

    @classmethod
    def example(cls) -> Any:
        return cls(fault="logs nothing")


class Refuses(Sum):
    """Cannot go on."""

    @classmethod
    def example(cls) -> Any:
        return cls(fault="refuses")


class ByProcess(Sum):
    """Gives another result in each process."""

    @classmethod
    def example(cls) -> Any:
        return cls(fault="by process")


class ByDraw(Sum):
    """Is interrupted by its own fault."""

    @classmethod
    def example(cls) -> Any:
        return cls(steps=6, fault="refuses at once")

    def build(self) -> Any:
        raise RuntimeError("cannot be built")


for faulty in (Forgets, BeginsAnew, LogsNothing, Refuses, ByProcess, ByDraw):
    params(faulty)


@params
class Reads:
    """Needs a file of the user's."""

    path: Path = setting(help="your file")

    def build(self) -> Any:
        return Counter(1, "")
