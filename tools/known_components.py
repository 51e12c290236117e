"""Write the list by which the core names the package that a recipe misses.

    python tools/known_components.py            # write packages/maskwright/src/maskwright/known_components.toml
    python tools/known_components.py --check    # exit 1 where it differs from what is installed

Needs every package of the repository to be installed.
"""

import sys
from pathlib import Path

from maskwright.catalogue import CORE, load_catalogue
from maskwright.component import KINDS

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "packages/maskwright/src/maskwright/known_components.toml"


def text() -> str:
    """TOML: package = [kind:name, …], of our own packages without the core."""
    ours = sorted(folder.name for kind in ("packages", "plugins") for folder in (ROOT / kind).iterdir())
    lines = ["# Made by tools/known_components.py: what each package of Maskwright brings."]
    listed = load_catalogue().listed
    for package in ours:
        found = sorted(
            (x for x in listed if x.package == package and package != CORE),
            key=lambda x: (KINDS.index(x.kind), x.name),
        )
        if found:
            lines += [f"{package} = [", *(f'    "{x.reference}",' for x in found), "]"]
    return "\n".join(lines) + "\n"


def main() -> int:
    found = text()
    if "--check" in sys.argv[1:]:
        same = LIST.is_file() and LIST.read_text(encoding="utf-8") == found
        print("as committed" if same else f"{LIST.name} is old: python tools/known_components.py")
        return 0 if same else 1
    LIST.write_text(found, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
