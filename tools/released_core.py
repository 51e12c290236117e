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
    failed = [
        name
        for name in plugins
        if subprocess.run(
            [sys.executable, "-m", "maskwright", "doctor", "--contracts", name], check=False
        ).returncode
    ]
    if failed:
        print(f"these need a newer core than {tag}: {', '.join(failed)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
