"""Run the tests through tox on a machine that has Python 3.11 and pip, and nothing else.

    python3 tools/run_tests.py                  # everything: what CI runs
    python3 tools/run_tests.py core samples     # some environments of tox.ini (the wheels are always built first)

tox lives in an environment of its own, made at the first call. uv, which tox uses, does not read pip's settings:
those that say where packages come from are handed over, so that uv finds what pip would find.
"""

import argparse
import ast
import os
import subprocess
import sys
import time
import venv
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNNER = ROOT / ".tox" / "runner"
GREEN = Path(".tox") / "green"
"""The tree for which everything was green last."""


def runner() -> Path:
    """The Python that has tox; made when it is missing."""
    python = RUNNER / "bin" / "python"
    if not (RUNNER / "ready").exists():
        venv.create(RUNNER, with_pip=True, clear=True)
        command = [
            str(python),
            "-m",
            "pip",
            "install",
            "-qq",
            "-c",
            str(ROOT / "constraints.txt"),
            "tox",
            "tox-uv",
        ]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        (RUNNER / "ready").touch()
    return python


def pip_settings(python: Path, environ: Mapping[str, str]) -> dict[str, list[str]]:
    """Where pip looks for packages: option to places. Variables win over pip's files, as they do for pip."""
    command = [str(python), "-m", "pip", "config", "list"]
    done = subprocess.run(command, env=dict(environ), capture_output=True, text=True, check=True)
    found = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    settings = {}
    for option in ("find-links", "index-url", "extra-index-url"):
        keys = [f"{section}.{option}" for section in (":env:", "install", "global")]
        value = next((found[key] for key in keys if key in found), "''")
        settings[option] = str(ast.literal_eval(value)).split()
    return settings


def uv_settings(pip: Mapping[str, list[str]], environ: Mapping[str, str]) -> dict[str, str]:
    """The same places as uv's variables; what the user set for uv stays."""
    # A folder that is gone is a warning to pip and an error to uv.
    links = [place for place in pip["find-links"] if "://" in place or Path(place).exists()]
    settings = {
        "UV_FIND_LINKS": ",".join(links),
        "UV_DEFAULT_INDEX": " ".join(pip["index-url"]),
        "UV_INDEX": " ".join(pip["extra-index-url"]),
    }
    if settings["UV_INDEX"]:
        settings["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # as pip: the newest version of all indexes
    return {key: value for key, value in settings.items() if value and key not in environ}


def git(root: Path, *words: str) -> str:
    """What git prints; nothing where it cannot."""
    return subprocess.run(
        ["git", *words], cwd=root, capture_output=True, text=True, check=False
    ).stdout.strip()


def released(root: Path) -> str:
    """The tag of the newest released core, or nothing."""
    return git(root, "tag", "--list", "maskwright/v*", "--sort=-v:refname").partition("\n")[0]


def tree(root: Path) -> str:
    """The hash of what is committed, empty where something is not."""
    return "" if git(root, "status", "--porcelain") else git(root, "rev-parse", "HEAD^{tree}")


def green(root: Path = ROOT) -> bool:
    """Whether all tests were green for the tree as it is committed."""
    kept = root / GREEN
    return kept.is_file() and bool(now := tree(root)) and kept.read_text() == now


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("env", nargs="*", help="environments of tox.ini; without any: all")
    parser.add_argument("--serial", action="store_true", help="one environment at a time, output as it comes")
    options = parser.parse_args()
    start = time.monotonic()
    python = runner()
    environ = os.environ | uv_settings(pip_settings(python, os.environ), os.environ)

    def tox(*arguments: str) -> int:
        command = [str(python), "-m", "tox", "--colored", "no", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=environ, stdin=subprocess.DEVNULL, check=False
        ).returncode

    skipped = ["wheels"]
    if not released(ROOT):
        skipped.append("released-core")
    failed = tox("run", "-e", "wheels")
    if not failed:
        chosen = ["-e", ",".join(options.env)] if options.env else []
        how = ["run"] if options.serial else ["run-parallel", "--parallel", "auto", "--parallel-no-spinner"]
        failed = tox(*how, "--skip-env", f"^({'|'.join(skipped)})$", *chosen)
    if "released-core" in skipped:
        print("released-core: not run and not counted, because this clone has no tag of a released core")
    print(f"all of it: {time.monotonic() - start:.0f} s")
    if not failed and not options.env and (now := tree(ROOT)):
        (ROOT / GREEN).write_text(now)
    return failed


if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036 - this file also starts on the older Python it turns away
        sys.exit(f"Maskwright needs Python 3.11 or newer; {sys.executable} is {sys.version.split()[0]}")
    sys.exit(main())
