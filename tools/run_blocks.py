"""Every fenced block of every document, executed: python tools/run_blocks.py [FILES]

Each page has a folder of its own, and its blocks go in order, as a reader would type them:

    python   executed; the blocks of a page share their names. A first line "# name.py" writes that file, too;
             "# folder/name.py" writes it only, for the commands after it
    sh       executed by bash -e; what the commands do, and do not, is in block_rules.py
    toml     must be TOML; a first line "# name.toml" writes that file; a recipe is checked by maskwright check
    json     must be JSON
    text     output or notation; not run

For each block one line: run, checked (not run, but what it names is there and fits), shown (neither, and why) or
output. Exit code 1 if a block fails, is of no known language, or if a reason in block_rules.py fits no block.
"""

import contextlib
import json
import multiprocessing
import os
import re
import shutil
import sys
import tempfile
import textwrap
import time
import tomllib
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import block_files
import block_packages
import block_rules
from block_shell import Shell, pretend_cache

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "docs/**/*.md", "packages/*/README.md", "plugins/*/README.md", "plugins/*/docs/*.md")
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)
NAMED = re.compile(r"# ((?:[\w-]+/)*[\w-]+\.(?:py|toml))\b")
FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    """Of its first line of text, in the page."""
    language: str
    text: str


@dataclass(frozen=True)
class Outcome:
    block: Block
    how: str
    """run, checked, shown, output or FAILED"""
    notes: tuple[str, ...] = ()
    log: str = ""


def blocks_of(text: str, page: str) -> list[Block]:
    """The fenced blocks of a page; directives of the site, ```{include}, are none."""
    return [
        Block(
            page,
            text[: match.start()].count("\n") + 2,
            match["language"].strip(),
            textwrap.dedent(match["text"]),
        )
        for match in FENCE.finditer(text)
        if not match["language"].startswith("{")
    ]


class PageRunner:
    """The blocks of one page in one folder, one after another. Lives in a process of its own."""

    def __init__(self, page: str, folder: Path) -> None:
        self.folder = folder / "here"
        self.folder.mkdir(parents=True)
        block_packages.begin(folder / "site")
        self.shell = Shell(self.folder, folder)
        self.names: dict[str, Any] = {"__name__": "page", **block_files.names_of(page)}
        os.chdir(self.folder)
        sys.path.insert(0, str(self.folder))
        block_rules.make_python_runs_small()

    def play(self, block: Block) -> Outcome:
        reason = block_rules.reason_to_show(block.page, block.text)
        if reason:
            return Outcome(block, "shown", (reason,))
        if block.language == "text":
            return Outcome(block, "output")
        played = getattr(self, f"play_{block.language}", None)
        if played is None:
            return Outcome(block, "FAILED", ("its fence must say sh, python, toml, json or text",))
        try:
            self.make_files(block)
            return played(block)
        except (Exception, SystemExit) as error:
            return Outcome(block, "FAILED", (f"{type(error).__name__}: {error}",), traceback.format_exc())

    def make_files(self, block: Block) -> None:
        """What the block names and the reader is to have, where no block before it has made that."""
        with open(self.shell.log, "w") as log, contextlib.redirect_stdout(log):
            for name in block_files.named_in(block.text):
                if not (self.folder / name).exists():
                    block_files.FILES[name](self.folder / name)

    def play_python(self, block: Block) -> Outcome:
        notes = self.write_file(block)
        # Blank lines before, so that a traceback names the line of the page.
        code = compile("\n" * (block.line - 1) + block.text, block.page, "exec")
        if any("/" in note for note in notes):
            return Outcome(block, "checked", notes)
        with open(self.shell.log, "w") as log, contextlib.redirect_stdout(log):
            exec(code, self.names)  # noqa: S102 -- the code is the repository's own
        if block.text.startswith("# maskwright_local.py"):
            return self.play_command(block, "maskwright doctor", "run", notes)
        return Outcome(block, "run", notes)

    def play_sh(self, block: Block) -> Outcome:
        return self.play_command(block, block.text, "run", ())

    def play_toml(self, block: Block) -> Outcome:
        table = tomllib.loads(block.text)
        notes = self.write_file(block)
        if "use" not in table:
            return Outcome(block, "checked", (*notes, "is TOML"))
        name = notes[0].removeprefix("written as ") if notes else "block.toml"
        (self.folder / name).write_text(block.text, encoding="utf-8")
        return self.play_command(block, f"maskwright check {name}", "checked", notes)

    def play_json(self, block: Block) -> Outcome:
        json.loads(block.text)
        return Outcome(block, "checked", ("is JSON",))

    def play_command(self, block: Block, script: str, how: str, notes: tuple[str, ...]) -> Outcome:
        code, said, log = self.shell.run(script)
        notes += tuple(f"{note.command} — {note.why}" for note in said)
        if code:
            return Outcome(block, "FAILED", (*notes, f"exit code {code}"), log)
        hows = [how, *(note.how for note in said if note.how)]
        return Outcome(block, max(hows, key=("run", "checked", "shown").index), notes)

    def write_file(self, block: Block) -> tuple[str, ...]:
        named = NAMED.match(block.text)
        if not named:
            return ()
        (self.folder / named[1]).write_text(block.text, encoding="utf-8")
        return (f"written as {named[1]}",)


def play_page(page: str, blocks: Sequence[Block], folder: Path, found: Any) -> None:
    """The body of a page's process."""
    runner = PageRunner(page, folder)
    for block in blocks:
        start = time.monotonic()
        outcome = runner.play(block)
        found.put(outcome)
        tell(outcome, time.monotonic() - start)


def tell(outcome: Outcome, seconds: float) -> None:
    block = outcome.block
    place, language, notes = (
        f"{block.page}:{block.line}",
        block.language or "(no language)",
        "; ".join(outcome.notes),
    )
    print(f"{place}  {language}  {outcome.how}  {seconds:.1f} s  {notes}".rstrip(), flush=True)
    if outcome.how == "FAILED":
        print(textwrap.indent("\n".join(outcome.log.splitlines()[-30:]), "    | "), flush=True)


def play(pages: Sequence[Path]) -> list[Outcome]:
    """All blocks of all pages; a page that dies counts as a failed block."""
    block_rules.import_heavy_modules()
    outcomes: list[Outcome] = []
    work = Path(tempfile.mkdtemp(prefix="blocks-"))
    pretend_cache(work / "cache")
    try:
        for number, path in enumerate(pages):
            page = str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else path.name
            blocks = blocks_of(path.read_text(encoding="utf-8"), page)
            if not blocks:
                continue
            found = FORK.SimpleQueue()
            process = FORK.Process(target=play_page, args=(page, blocks, work / str(number), found))
            process.start()
            for block in blocks:
                while found.empty() and process.is_alive():
                    time.sleep(0.02)
                outcomes.append(
                    found.get() if not found.empty() else Outcome(block, "FAILED", ("the page died",))
                )
            process.join()
            shutil.rmtree(work / str(number), ignore_errors=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return outcomes


def main(words: Sequence[str]) -> int:
    pages = [Path(word).resolve() for word in words]
    if not pages:
        pages = sorted(path for pattern in PAGES for path in ROOT.glob(pattern) if "_build" not in path.parts)
    outcomes = play(pages)
    counts = Counter(outcome.how for outcome in outcomes)
    told = ", ".join(f"{counts[how]} {how}" for how in ("run", "checked", "shown", "output", "FAILED"))
    count = len({outcome.block.page for outcome in outcomes})
    print(f"\n{count} pages with {len(outcomes)} blocks: {told}")
    stale = [] if words else block_rules.reasons_without_block([outcome.block for outcome in outcomes])
    for reason in stale:
        print(f"block_rules.py gives a reason for what is in no page: {reason}")
    return 1 if counts["FAILED"] or stale or not outcomes else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
