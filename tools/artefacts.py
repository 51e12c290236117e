"""The files of a release, built and looked at: sdist and wheel of one package."""

import email
import importlib.util
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from build_wheels import problems

OURS = re.compile(r"maskwright(-[a-z]+)?(\[[a-z,]+\])?(?P<range>.*)")


def hatchling(source: Path, out: Path, target: str) -> Path:
    """Build one target of one package; its path."""
    if not importlib.util.find_spec("hatchling"):
        sys.exit("the release helper builds with hatchling:  pip install hatchling packaging")
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(out)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{source.name} does not build:\n{done.stdout}{done.stderr}")
    (made,) = out.glob("*.whl" if target == "wheel" else "*.tar.gz")
    return made


def metadata_problems(text: str) -> list[str]:
    """What an index would refuse or a user miss in the metadata of a wheel."""
    from packaging.metadata import Metadata  # as the index reads it

    try:
        found = Metadata.from_email(text, validate=True)
    except ExceptionGroup as group:
        return [f"metadata: {error}" for error in group.exceptions]
    wrong = []
    if not found.description or len(found.description) < 200:
        wrong.append("metadata: the README is not the description")
    for field in ("summary", "license_expression", "requires_python"):
        if not getattr(found, field):
            wrong.append(f"metadata: no {field}")
    for need in found.requires_dist or []:
        line = str(need).partition(";")[0].strip()
        bounds = {x.operator for x in need.specifier}
        if ">=" not in bounds:
            wrong.append(f"metadata: {line} has no lower bound")
        if OURS.fullmatch(line) and "<" not in bounds:
            wrong.append(f"metadata: {line} has no upper bound")
        if "==" in bounds:
            wrong.append(f"metadata: {line} asks for one version")
    return wrong


def problems_of(folder: Path, place: Path) -> list[str]:
    """Build both in the folder `place`; what is wrong with them."""
    wheel = hatchling(folder, place / "wheel", "wheel")
    sdist = hatchling(folder, place / "sdist", "sdist")
    wrong = problems(wheel, folder)
    inside = zipfile.ZipFile(wheel)
    (name,) = (name for name in inside.namelist() if name.endswith(".dist-info/METADATA"))
    text = inside.read(name).decode()
    wrong += metadata_problems(text)
    # Who builds from the sdist has to get the same wheel.
    with tarfile.open(sdist) as archive:
        archive.extractall(place / "unpacked", filter="data")
    (unpacked,) = (place / "unpacked").iterdir()
    again = zipfile.ZipFile(hatchling(unpacked, place / "again", "wheel"))
    for file in sorted(set(again.namelist()) ^ set(inside.namelist())):
        wrong.append(
            f"{file} is only in the wheel of {'the sdist' if file in again.namelist() else 'the folder'}"
        )
    same = [n for n in inside.namelist() if n in again.namelist() and not n.endswith("/RECORD")]
    wrong += [f"{file} differs in the sdist" for file in same if again.read(file) != inside.read(file)]
    version = email.message_from_string(text)["Version"]
    if f"-{version}" not in sdist.name:
        wrong.append(f"the sdist is called {sdist.name}, the version is {version}")
    return wrong
