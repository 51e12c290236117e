"""What `pip install` of each package brings: the packages, how large they are, and what the command line then costs.

    python tools/installs.py                    # measure all, write docs/installs.md
    python tools/installs.py --check            # exit 1 where a package brings other packages than the page says
    python tools/installs.py maskwright-text    # try one, write nothing

Every package is installed alone into a fresh environment, from its wheel in dist/ and with what it asks for. It has to
load there without a problem, and a recipe of another package has to name the pip command that is missing. Seconds and
megabytes are printed and not compared: they depend on the machine and on what pip has at hand.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from fresh import ROOT, Failed, call, fresh_environment

PACKAGES = [
    "maskwright",
    "maskwright-samples",
    "maskwright-causal",
    "maskwright-torch",
    "maskwright-vision",
    "maskwright-text",
    "maskwright-cap",
    "maskwright-meta",
]
"""Those that a user installs; maskwright-testing is for authors of plugins."""

OTHERS = {"mae": "maskwright-vision", "joint-dag": "maskwright-causal"}
"""Recipes and the package that each needs."""

PAGE = ROOT / "docs" / "installs.md"
DATA = ROOT / "docs" / "installs.json"

INSIDE = """
import json, os, subprocess, sys, sysconfig, importlib.metadata as m
from resource import RUSAGE_CHILDREN, getrusage

def cpu(code):
    times = []
    for _ in range(4):
        before = getrusage(RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
        after = getrusage(RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(times[1:])

site = sysconfig.get_path("purelib")
size = sum(os.path.getsize(os.path.join(place, name)) for place, _, names in os.walk(site) for name in names
           if not os.path.islink(os.path.join(place, name)) and not name.endswith(".pyc"))
names = sorted(d.metadata["Name"].lower().replace("_", "-") for d in m.distributions())
listed = cpu("from maskwright.cli.main import main; main(['list'])")
print(json.dumps({
    "packages": [name for name in names if name not in ("pip", "setuptools")],
    "megabytes": round(size / 1e6),
    "list": round(listed / cpu("import pluggy, attrs, argparse, importlib.metadata"), 2),
}))
"""


def install(package: str, folder: Path) -> dict[str, Any]:
    """Install one package alone and measure; Failed where it does not work there."""
    (wheel,) = (ROOT / "dist").glob(f"{package.replace('-', '_')}-[0-9]*.whl")
    start = time.monotonic()
    python = fresh_environment(folder / "environment", f"{package} @ {wheel.as_uri()}")
    seconds = time.monotonic() - start
    call(python, "-m", "maskwright", "doctor", cwd=folder)
    found: dict[str, Any] = json.loads(call(python, "-c", INSIDE, cwd=folder))
    for recipe, owner in OTHERS.items():
        if owner not in found["packages"]:
            said = call(python, "-m", "maskwright", "run", recipe, cwd=folder, code=2)
            if f"pip install {owner}" not in said:
                raise Failed(f"{package} alone: `maskwright run {recipe}` does not name {owner}:\n{said}")
    return found | {"seconds": round(seconds)}


def page(found: dict[str, dict[str, Any]]) -> str:
    lines = [
        "# What an install brings",
        "",
        "Made by `python tools/installs.py`, which installs each package alone into a fresh environment, where",
        "`maskwright doctor` must find nothing wrong. Sizes are those of the CPU build of torch; seconds are uv's,",
        "with all wheels already on the machine, so that a download comes on top. `list` is the CPU time of",
        "`maskwright list` over that of importing pluggy, attrs, argparse and importlib.metadata alone.",
        "",
        "| `pip install` | packages | MB | seconds | torch | `list` |",
        "|---|---:|---:|---:|---|---:|",
    ]
    for package, row in found.items():
        torch = "yes" if "torch" in row["packages"] else "no"
        lines.append(
            f"| {package} | {len(row['packages'])} | {row['megabytes']} | {row['seconds']} | {torch} | {row['list']} |"
        )
    lines += ["", "In words:", ""]
    for package, row in found.items():
        inside = [x for x in found if x != package and x in row["packages"]]
        known = {name for x in inside for name in found[x]["packages"]}
        own = [name for name in row["packages"] if name not in known | {package}]
        after = f"{', '.join(inside)}, and " if inside else ""
        lines.append(f"- **{package}**: {after}{', '.join(own) or 'nothing else'}")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("packages", nargs="*", help="try these alone, and write nothing")
    parser.add_argument(
        "--check", action="store_true", help="compare the package sets with docs/installs.json"
    )
    options = parser.parse_args()
    found: dict[str, dict[str, Any]] = {}
    failed = False
    for package in options.packages or PACKAGES:
        with tempfile.TemporaryDirectory(prefix="maskwright-install-") as folder:
            try:
                row = found[package] = install(package, Path(folder).resolve())
            except Failed as error:
                failed = True
                print(f"{package} FAILS\n{error}", flush=True)
                continue
        print(
            f"{package:<20} {len(row['packages']):3} packages {row['megabytes']:5} MB {row['seconds']:4} s  "
            f"list {row['list']:.2f}",
            flush=True,
        )
    if options.check:
        kept = json.loads(DATA.read_text())
        for package, row in found.items():
            for name in sorted(set(row["packages"]) ^ set(kept.get(package, {}).get("packages", []))):
                failed = True
                more = name in row["packages"]
                print(
                    f"{package} {'brings' if more else 'no longer brings'} {name}: run tools/installs.py anew"
                )
        if page(kept) != PAGE.read_text():
            failed = True
            print(f"{PAGE.name} is not what {DATA.name} makes")
    elif not options.packages and not failed:
        DATA.write_text(json.dumps(found, indent=1) + "\n")
        PAGE.write_text(page(found))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
