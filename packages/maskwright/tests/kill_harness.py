"""Break a run at its n-th write, for every n, and see whether it goes on as if nothing had happened.

    python kill_harness.py kill|half|full STRIDE WORD …

`WORD …` are those of `maskwright run`. Each attempt is a fork of one process that has imported everything, so that
hundreds of them take seconds. At the n-th call of os.write, fsync, replace, mkdir or ftruncate the child

    kill: sends itself SIGKILL before the call,
    half: sends itself SIGKILL after half of the bytes of an os.write (before any other call),
    full: gets ENOSPC from that call and from all later ones that need space, as on a full disk.

Afterwards the run is resumed (or run again where it had not begun) without a fault and compared byte for byte with
one that was never broken. Prints one JSON object.
"""

import errno
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from maskwright.cli.main import main

CALLS = ("write", "fsync", "replace", "mkdir", "ftruncate", "unlink", "rmdir")
NEED_SPACE = ("write", "fsync", "mkdir")
EQUAL = ("metrics.jsonl", "parts", "checkpoints", "artefacts")
"""What has to be equal; report, status and timing need not be."""


def contents(folder: Path) -> dict[str, bytes]:
    """Every file that has to be equal, those of child runs too."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and set(path.relative_to(folder).parts) & set(EQUAL):
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


class Faults:
    """Counts calls that change the disk and lets the one numbered `at` go wrong."""

    def __init__(self, mode: str, at: int) -> None:
        self.mode, self.at, self.count = mode, at, 0

    def install(self) -> None:
        for name in CALLS:
            setattr(os, name, self.wrapped(name, getattr(os, name)))
        # Plain Python files do not pass through os.write; here they do, so that their middle can be hit as well.
        Path.write_bytes = _write_bytes  # type: ignore[method-assign]
        Path.write_text = _write_text  # type: ignore[method-assign]

    def wrapped(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if self.mode == "full" and name not in NEED_SPACE:
                return real(*arguments, **options)
            self.count += 1
            if self.mode == "full" and 0 < self.at <= self.count:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if self.count == self.at:
                if self.mode == "half" and name == "write":
                    descriptor, data = arguments
                    real(descriptor, bytes(data)[: len(data) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            # SIGKILL loses nothing that the kernel has: waiting for the disk would only cost time.
            return None if name == "fsync" else real(*arguments, **options)

        return call


def _write_bytes(path: Path, data: bytes) -> int:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        view = memoryview(bytes(data))
        while view:
            view = view[os.write(descriptor, view) :]
    finally:
        os.close(descriptor)
    return len(data)


def _write_text(path: Path, data: str, encoding: str = "utf-8") -> int:
    return _write_bytes(path, data.encode(encoding))


def in_child(words: list[str], mode: str = "kill", at: int = 0) -> tuple[int, str, int]:
    """(exit code, or minus the signal; what was printed; calls counted) of one command in a fork."""
    sys.stdout.flush()
    log, counted = Path(f"log-{at}.txt"), Path(f"count-{at}.txt")
    child = os.fork()
    if child == 0:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        real_open, real_write = os.open, os.write
        faults = Faults(mode, at)
        faults.install()
        code = main(words)
        sys.stdout.flush()
        sys.stderr.flush()
        real_write(real_open(counted, os.O_WRONLY | os.O_CREAT, 0o644), str(faults.count).encode())
        os._exit(code)
    _, status = os.waitpid(child, 0)
    printed = log.read_text(errors="replace")
    count = int(counted.read_text()) if counted.is_file() else 0
    log.unlink()
    counted.unlink(missing_ok=True)
    return os.waitstatus_to_exitcode(status), printed, count


def attempt(words: list[str], mode: str, at: int, whole: dict[str, bytes]) -> str:
    """What went wrong when the `at`-th call failed; nothing if all is well."""
    folder = Path(f"broken-{at}")
    start = ["run", *words, "--out", str(folder)]
    code, printed, _ = in_child(start, mode, at)
    if mode == "full" and (code != 2 or "no space left on" not in printed.lower()):
        return f"a full disk gave exit code {code}: {printed[-600:]}"
    if mode != "full" and code != -signal.SIGKILL:
        return f"was not killed but ended with {code}: {printed[-600:]}"
    begun = (folder / "resolved.json").is_file()
    code, printed, _ = in_child(
        ["resume", str(folder), *(w for w in words if w.startswith("-"))] if begun else start
    )
    if code != 0:
        return f"{'resume' if begun else 'run'} gave {code}: {printed[-600:]}"
    found = contents(folder)
    if found != whole:
        names = [name for name in sorted({*found, *whole}) if found.get(name) != whole.get(name)]
        return f"differs in {names[:6]}"
    left = [str(path) for path in folder.rglob(".tmp-*")]
    if left:
        return f"rubbish is left: {left[:3]}"
    shutil.rmtree(folder)
    return ""


def try_all(mode: str, stride: int, words: list[str]) -> dict[str, Any]:
    code, printed, count = in_child(["run", *words, "--out", "whole"], mode)
    if code != 0:
        return {"calls": 0, "tried": 0, "failures": {"whole": printed}}
    whole = contents(Path("whole"))
    tried = range(1, count + 1, stride)
    failures = {at: wrong for at in tried if (wrong := attempt(words, mode, at, whole))}
    return {"calls": count, "tried": len(tried), "files": len(whole), "failures": failures}


if __name__ == "__main__":
    import jinja2  # noqa: F401  (imported before the forks, once for all of them)
    import joblib  # noqa: F401

    import maskwright.report  # noqa: F401
    from maskwright.catalogue import catalogue

    catalogue()
    print(json.dumps(try_all(sys.argv[1], int(sys.argv[2]), sys.argv[3:])))
