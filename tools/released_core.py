"""Today's plugins on the last released core: it takes the place of today's, and every contract is checked.

    python tools/released_core.py        # changes the environment it runs in: the tox environment "released-core"

A plugin that needs something of today's core has to raise its lower bound. Wants hatchling, and uv or pip.
"""

import os
import subprocess
import sys
import tarfile
import tempfile
from importlib import metadata
from pathlib import Path

from artefacts import hatchling
from fresh import ROOT, call, install
from run_tests import released

from maskwright.elsewhere import known_components

EXPECTED = {"evaluator:latency"}
"""It measures time, so that two calls never give the same; its own tests expect that of it."""


def failing(package: str) -> list[str]:
    """Check the contracts of a package, show what came of them, and name the components that broke one."""
    command = [sys.executable, "-m", "maskwright", "doctor", "--contracts", package]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout + done.stderr, end="", flush=True)
    lines = [line.split() for line in done.stdout.splitlines() if ", failed " in line]
    broken = [words[0] for words in lines if not words[0].endswith(":")]  # the last line is about all of them
    if done.returncode and not broken:
        return [package]  # it did not come so far
    return broken


def main() -> int:
    tag = released(ROOT)
    if not tag:
        print("this clone has no tag of a released core: nothing can be proved with it", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="maskwright-released-") as name:
        place = Path(name)
        with (place / "core.tar").open("wb") as out:
            subprocess.run(["git", "archive", tag, "packages/maskwright"], cwd=ROOT, stdout=out, check=True)
        with tarfile.open(place / "core.tar") as archive:
            archive.extractall(place, filter="data")
        # The constraints name the wheel of today's core.
        os.environ.pop("UV_CONSTRAINT", None)
        install(
            Path(sys.executable),
            "--no-deps",
            "--force-reinstall",
            hatchling(place / "packages/maskwright", place / "wheel", "wheel"),
        )
    version = call(
        sys.executable, "-c", "from importlib.metadata import version; print(version('maskwright'))", cwd=ROOT
    )
    if version.strip() != tag.rpartition("/v")[2]:
        print(f"{tag} is wanted, {version.strip()} is installed", file=sys.stderr)
        return 1
    plugins = sorted(d.name for d in metadata.distributions() if d.name in known_components())
    print(
        f"core {version.strip()} with", *(f"{name} {metadata.version(name)}" for name in plugins), flush=True
    )
    failed = [component for name in plugins for component in failing(name) if component not in EXPECTED]
    if failed:
        print(f"these need a newer core than {tag}: {', '.join(failed)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
