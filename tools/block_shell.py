"""bash for blocks of documents, with stand-ins for commands that would download, build or train for minutes.

A stand-in is a small script, found before the real command, that asks the page's process to do the work: that process
has the slow imports behind it and forks. A command then takes a second where it would take six.
"""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path

import block_rules

STAND_IN = """\
#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as asked:
    asked.connect({address!r})
    words = [os.path.basename(sys.argv[0]), *sys.argv[1:]]
    socket.send_fds(asked, [json.dumps([os.getcwd(), words]).encode()], [0, 1, 2])
    sys.exit(int(asked.recv(16) or b"1"))
"""
MOST_SECONDS = 900
"""Of one command; a machine that is busy with other things takes a while."""


@dataclass(frozen=True)
class Note:
    """What a stand-in has to say of a command that it did not run as it stands."""

    how: str
    command: str
    why: str


def pretend_cache(folder: Path) -> None:
    """Cleaned docstrings are read once for all pages, and nothing is taken from or left in the user's cache."""
    os.environ["MASKWRIGHT_CACHE"] = str(folder)


class Shell:
    """Runs scripts in `folder`; keeps what it needs itself in `beside`."""

    def __init__(self, folder: Path, beside: Path) -> None:
        self.folder, self.log, self.notes = folder, beside / "log", beside / "notes"
        self.script = beside / "block.sh"
        address = beside / "socket"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(address))
        self.listener.listen()
        commands = beside / "commands"
        commands.mkdir()
        for name in block_rules.COMMANDS:
            (commands / name).write_text(STAND_IN.format(python=sys.executable, address=str(address)))
            (commands / name).chmod(0o755)
        self.environment = {**os.environ, "PATH": f"{commands}:{os.environ['PATH']}"}

    def run(self, script: str) -> tuple[int, list[Note], str]:
        """Exit code, what the stand-ins said, and the output of all."""
        self.script.write_text(script, encoding="utf-8")
        self.notes.write_text("")
        with open(self.log, "wb") as log:
            bash = subprocess.Popen(
                ["bash", "-e", "-o", "pipefail", str(self.script)],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        while bash.poll() is None:
            if select.select([self.listener], [], [], 0.1)[0]:
                self.answer()
        said = [Note(*json.loads(line)) for line in self.notes.read_text(encoding="utf-8").splitlines()]
        return bash.wait(), said, self.log.read_text(encoding="utf-8", errors="replace")

    def answer(self) -> None:
        """Let a fork do what a stand-in was called for; it tells the stand-in how that ended."""
        asked, _ = self.listener.accept()
        request, files, _, _ = socket.recv_fds(asked, 1 << 16, 3)
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            code = 1
            signal.alarm(MOST_SECONDS)
            try:
                for number, file in enumerate(files):
                    os.dup2(file, number)
                folder, words = json.loads(request)
                os.chdir(folder)
                code = self.play(words)
            except SystemExit as stop:
                code = stop.code if isinstance(stop.code, int) else 1
            except BaseException:
                traceback.print_exc()
            finally:
                with contextlib.suppress(OSError):
                    sys.stdout.flush()
                    sys.stderr.flush()
                asked.sendall(str(code).encode())
                os._exit(0)
        for file in files:
            os.close(file)
        asked.close()
        os.waitpid(child, 0)

    def play(self, words: list[str]) -> int:
        """In the fork: the command, and a note if it was not run as it stands."""
        played = block_rules.play(words)
        if played.why:
            with open(self.notes, "a", encoding="utf-8") as notes:
                notes.write(json.dumps([played.how, " ".join(words)[:60], played.why]) + "\n")
        return played.code
