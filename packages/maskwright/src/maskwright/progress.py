"""What a person sees while a run works: a bar on a terminal, plain lines elsewhere, nothing in child runs."""

import sys
import time
from collections.abc import Mapping
from typing import Any, Protocol


class Progress(Protocol):
    """A display of steps done, rate, time left and the main metrics."""

    def begin(self, total: int, done: int = 0, what: str = "") -> None: ...

    def advance(self, done: int) -> None: ...

    def values(self, values: Mapping[str, float]) -> None: ...

    def say(self, text: str) -> None: ...

    def close(self) -> None: ...


class QuietProgress:
    """Shows nothing."""

    def begin(self, total: int, done: int = 0, what: str = "") -> None: ...

    def advance(self, done: int) -> None: ...

    def values(self, values: Mapping[str, float]) -> None: ...

    def say(self, text: str) -> None: ...

    def close(self) -> None: ...


def shorten(values: Mapping[str, float], limit: int = 3) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in list(values.items())[:limit])


def clock(seconds: float) -> str:
    """`4.2 s`, `3:05`, `1:02:30`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class PlainProgress:
    """Lines on stderr, at most one in `every` seconds, for logs and pipes."""

    def __init__(self, every: float = 5.0) -> None:
        self.every, self.last, self.total, self.first = every, 0.0, 0, 0
        self.what, self.shown = "", ""
        self.start = time.monotonic()

    def begin(self, total: int, done: int = 0, what: str = "") -> None:
        self.total, self.first, self.what = total, done, what
        self.start = self.last = time.monotonic()

    def advance(self, done: int) -> None:
        now = time.monotonic()
        if now - self.last < self.every and done < self.total:
            return
        self.last = now
        rate = (done - self.first) / max(now - self.start, 1e-9)
        left = (self.total - done) / rate if rate > 0 else 0.0
        print(
            f"{self.what} {done}/{self.total}  {rate:.3g}/s  {clock(left)} left  {self.shown}".strip(),
            file=sys.stderr,
        )

    def values(self, values: Mapping[str, float]) -> None:
        self.shown = shorten(values)

    def say(self, text: str) -> None:
        print(text, file=sys.stderr)

    def close(self) -> None: ...


class BarProgress:
    """A live bar on a terminal (rich, imported only here)."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        columns: list[Any] = [TextColumn("{task.description}"), BarColumn(bar_width=30), MofNCompleteColumn()]
        columns += [
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[shown]}"),
        ]
        self.bars = Bars(*columns, console=Console(stderr=True), transient=True)
        self.task: Any = None
        self.start, self.first = time.monotonic(), 0

    def begin(self, total: int, done: int = 0, what: str = "") -> None:
        if self.task is None:
            self.bars.start()
        else:
            self.bars.remove_task(self.task)
        self.start, self.first = time.monotonic(), done
        self.task = self.bars.add_task(what or "running", total=total, completed=done, rate="", shown="")

    def advance(self, done: int) -> None:
        if self.task is not None:
            rate = (done - self.first) / max(time.monotonic() - self.start, 1e-9)
            self.bars.update(self.task, completed=done, rate=f"{rate:.3g}/s")

    def values(self, values: Mapping[str, float]) -> None:
        if self.task is not None:
            self.bars.update(self.task, shown=shorten(values))

    def say(self, text: str) -> None:
        self.bars.console.print(text, style="dim", highlight=False, markup=False)

    def close(self) -> None:
        if self.task is not None:
            self.bars.stop()


def quiet_progress() -> Progress:
    return QuietProgress()


def visible_progress() -> Progress:
    """A bar on a terminal, lines elsewhere."""
    return BarProgress() if sys.stderr.isatty() else PlainProgress()
