"""What a stranger does with `maskwright new-plugin`, for each kind: write it, build a wheel, install that in a fresh
environment, list it, run its tests, run its recipe.

    python tools/thirdparty.py                     # every kind
    python tools/thirdparty.py masker dataset      # some

Wants maskwright and hatchling in its own environment.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from fresh import Failed, call, fresh_environment

from maskwright.cli.plugin_verb import recipe_name
from maskwright.component import KINDS


def prove(kind: str, folder: Path) -> None:
    """Raise Failed unless the plugin of this kind works, from the first command to the last."""
    name = f"acme-{kind}"
    call(sys.executable, "-m", "maskwright", "new-plugin", name, "--kind", kind, cwd=folder)
    source, wheels, empty = folder / name, folder / "wheels", folder / "empty"
    call(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", wheels, cwd=source)
    (wheel,) = wheels.glob("*.whl")
    python = fresh_environment(folder / "environment", f"{name}[test] @ {wheel.as_uri()}")
    # The tests alone are taken along: the package must be imported from the wheel.
    empty.mkdir()
    shutil.copytree(source / "tests", empty / "tests")
    listed = call(python, "-m", "maskwright", "list", kind, cwd=empty)
    if f"  {name} " not in listed:
        raise Failed(f"{name} is not listed:\n{listed}")
    where = call(python, "-c", f"import acme_{kind}; print(acme_{kind}.__file__)", cwd=empty)
    if not Path(where.strip()).is_relative_to(folder / "environment"):
        raise Failed(f"{name} is imported from {where}, not from its wheel")
    call(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", cwd=empty)
    call(python, "-m", "maskwright", "run", recipe_name(name, kind), "--out", "run", cwd=empty)
    if not (empty / "run" / "report.html").is_file():
        raise Failed(f"the recipe of {name} left no report")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)} (default: all)")
    kinds = parser.parse_args().kinds or list(KINDS)
    if unknown := set(kinds) - set(KINDS):
        parser.error(f"no such kind: {', '.join(sorted(unknown))}")
    failed = []
    for kind in kinds:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix=f"maskwright-{kind}-") as folder:
            try:
                prove(kind, Path(folder).resolve())
                print(f"{kind:<10} works  ({time.monotonic() - began:.0f} s)", flush=True)
            except Failed as error:
                failed.append(kind)
                print(f"{kind:<10} FAILS\n{error}", flush=True)
    print(f"{len(kinds) - len(failed)} of {len(kinds)} kinds work")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
