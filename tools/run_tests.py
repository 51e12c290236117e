"""Run the tests through tox on a machine that has Python 3.11 and pip, and nothing else.

    python3 tools/run_tests.py                  # everything: what CI runs
    python3 tools/run_tests.py core samples     # some environments of tox.ini (the wheels are always built first)

tox lives in an environment of its own, made at the first call. uv, which tox uses, does not read pip's settings:
those that say where packages come from are handed over, so that uv finds what pip would find.
"""

import argparse
import os
import subprocess
import sys
import time
import venv
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNNER = ROOT / ".tox" / "runner"


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


def pip_setting(python: Path, name: str, environ: Mapping[str, str]) -> list[str]:
    """What pip uses for an option that takes several places; the environment wins over pip's files."""
    value = environ.get("PIP_" + name.upper().replace("-", "_"))
    if value is None:
        command = [str(python), "-m", "pip", "config", "get", f"global.{name}"]
        value = subprocess.run(command, env=dict(environ), capture_output=True, text=True, check=False).stdout
    return value.split()


def uv_settings(python: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """uv's variables for the places pip looks at; a variable that is already set stays as it is."""
    links = pip_setting(python, "find-links", environ)
    # A folder that is gone is a warning to pip and an error to uv.
    links = [place for place in links if "://" in place or Path(place).exists()]
    settings = {
        "PIP_FIND_LINKS": " ".join(links),
        "UV_FIND_LINKS": ",".join(links),
        "UV_DEFAULT_INDEX": " ".join(pip_setting(python, "index-url", environ)),
        "UV_INDEX": " ".join(pip_setting(python, "extra-index-url", environ)),
    }
    if settings["UV_INDEX"]:
        settings["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # as pip: the newest version of all indexes
    return {
        key: value
        for key, value in settings.items()
        if value and (key == "PIP_FIND_LINKS" or key not in environ)
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("env", nargs="*", help="environments of tox.ini; without any: all")
    parser.add_argument("--serial", action="store_true", help="one environment at a time, output as it comes")
    options = parser.parse_args()
    start = time.monotonic()
    python = runner()
    environ = os.environ | uv_settings(python, os.environ)

    def tox(*arguments: str) -> int:
        command = [str(python), "-m", "tox", "--colored", "no", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=environ, stdin=subprocess.DEVNULL, check=False
        ).returncode

    failed = tox("run", "-e", "wheels")
    if not failed:
        chosen = ["-e", ",".join(options.env)] if options.env else []
        how = ["run"] if options.serial else ["run-parallel", "--parallel", "auto", "--parallel-no-spinner"]
        failed = tox(*how, "--skip-env", "^wheels$", *chosen)
    print(f"all of it: {time.monotonic() - start:.0f} s")
    return failed


if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036 - this file also starts on the older Python it turns away
        sys.exit(f"Maskwright needs Python 3.11 or newer; {sys.executable} is {sys.version.split()[0]}")
    sys.exit(main())
