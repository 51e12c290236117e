"""Build the wheel of every package into dist/, and list them in dist/wheels.txt.

The list is a constraint file: who installs under it gets exactly these wheels, whatever an index may offer.

With hatchling at hand (the tox environment "wheels") this takes well under a second a package. On a bare machine
pip does the same work, only slower, because it builds each package in an environment of its own.
"""

import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"


def packages() -> list[Path]:
    """Folders of all distributions in this repository, the core first."""
    found = [
        file.parent
        for pattern in ("packages", "plugins")
        for file in (ROOT / pattern).glob("*/pyproject.toml")
    ]
    return sorted(found, key=lambda folder: (folder.parent.name, folder.name))


def build(folder: Path) -> Path:
    """Build one wheel and return its path; an older wheel of the same package makes room first."""
    for old in DIST.glob(f"{folder.name.replace('-', '_')}-[0-9]*.whl"):
        old.unlink()
    if importlib.util.find_spec("hatchling"):
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(DIST)]
    else:
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(DIST), "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{folder.relative_to(ROOT)} does not build:\n{done.stdout}{done.stderr}")
    (wheel,) = DIST.glob(f"{folder.name.replace('-', '_')}-[0-9]*.whl")
    return wheel


def problems(wheel: Path, folder: Path) -> list[str]:
    """What the wheel lacks, or holds although users do not need it."""
    names = set(zipfile.ZipFile(wheel).namelist())
    module = folder.name.replace("-", "_")
    source = folder / "src"
    wanted = {str(path.relative_to(source)) for path in (source / module).rglob("*") if path.is_file()}
    wanted = {name for name in wanted if "__pycache__" not in name}
    lost = [f"lacks {name}" for name in sorted(wanted - names)]
    extra = [f"holds {name}" for name in sorted(names) if not name.startswith((f"{module}/", f"{module}-"))]
    licence = [] if any(name.endswith("/licenses/LICENSE") for name in names) else ["lacks LICENSE"]
    return lost + extra + licence


def main() -> int:
    DIST.mkdir(exist_ok=True)
    failed = False
    lines = []
    for folder in packages():
        wheel = build(folder)
        wrong = problems(wheel, folder)
        print(f"{wheel.relative_to(ROOT)}  {wheel.stat().st_size / 1024:.0f} KiB", *wrong, sep="\n  ")
        failed = failed or bool(wrong)
        lines.append(f"{folder.name} @ {wheel.as_uri()}\n")
    (DIST / "wheels.txt").write_text("".join(lines))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
