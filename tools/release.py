"""Release notes from the fragments in changes/, and the release of packages.

    python tools/release.py notes [PACKAGE ...]                  # print what the notes would be
    python tools/release.py dry-run [PACKAGE ...]                # build and check the files that would be released
    python tools/release.py release PACKAGE VERSION [PACKAGE VERSION ...]

A release checks, tests, writes the notes, commits and tags. Tests that were green for this very tree are not run
again. A fragment is changes/NAME.added.md (or changed, fixed, removed): one sentence for users. Nothing is uploaded.
"""

import argparse
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from artefacts import problems_of
from run_tests import green

ROOT = Path(__file__).resolve().parent.parent
KINDS = ("added", "changed", "fixed", "removed")


class ReleaseError(Exception):
    """Why a release is refused, in one sentence."""


def folder_of(root: Path, package: str) -> Path:
    for kind in ("packages", "plugins"):
        if (root / kind / package / "pyproject.toml").exists():
            return root / kind / package
    raise ReleaseError(f"there is no package {package!r} in packages/ or plugins/")


def fragments(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "changes").iterdir() if path.name != ".gitkeep")


def notes(folder: Path) -> str:
    """Markdown: one list per kind of change; empty when there is no fragment."""
    lines: list[str] = []
    for kind in KINDS:
        texts = [path.read_text().strip() for path in fragments(folder) if path.name.endswith(f".{kind}.md")]
        if texts:
            lines += [
                f"### {kind.capitalize()}",
                "",
                *("- " + text.replace("\n", "\n  ") for text in texts),
                "",
            ]
    return "\n".join(lines)


def changelog(old: str, version: str, day: str, body: str) -> str:
    """The changelog with a new section above the older ones, below its title."""
    title, separator, rest = old.partition("\n## ")
    section = f"\n## {version} ({day})\n\n{body.rstrip()}\n"
    return title.rstrip() + "\n" + section + (separator + rest if separator else "")


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ReleaseError(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


def check(root: Path, package: str, version: str) -> Path:
    """Refuse a release that is not ready; return the package's folder."""
    folder = folder_of(root, package)
    found = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["version"]
    if found != version:
        raise ReleaseError(f"{package} is {found} in its pyproject.toml, not {version}")
    if git(root, "status", "--porcelain"):
        raise ReleaseError("there are changes that are not committed")
    if git(root, "tag", "--list", f"{package}/v{version}"):
        raise ReleaseError(f"the tag {package}/v{version} exists already")
    if not notes(folder):
        raise ReleaseError(
            f"{package} has no fragments in changes/, so there is nothing to tell about {version}"
        )
    return folder


def built(folder: Path) -> None:
    """Build the files that would be uploaded, in a folder that goes away; refuse what is wrong with them."""
    with tempfile.TemporaryDirectory(prefix="maskwright-release-") as place:
        wrong = problems_of(folder, Path(place))
    if wrong:
        raise ReleaseError(f"{folder.name}: {'; '.join(wrong)}")


def write(root: Path, folder: Path, version: str) -> str:
    """Write the notes, remove the fragments, commit and tag; return the tag."""
    day = git(root, "show", "-s", "--format=%cs", "HEAD")
    log = folder / "CHANGELOG.md"
    log.write_text(changelog(log.read_text(), version, day, notes(folder)))
    for path in fragments(folder):
        path.unlink()
    (folder / "changes" / ".gitkeep").touch()
    tag = f"{folder.name}/v{version}"
    git(root, "add", "--all", str(folder))
    git(root, "commit", "-m", f"Release {folder.name} {version}")
    git(root, "tag", "-a", tag, "-m", f"{folder.name} {version}")
    return tag


def release(root: Path, wanted: list[tuple[str, str]]) -> list[str]:
    """Release packages in the given versions, all or none; their tags."""
    folders = [check(root, package, version) for package, version in wanted]
    for folder in folders:
        built(folder)
    if (
        not green(root)
        and subprocess.run([sys.executable, "tools/run_tests.py"], cwd=root, check=False).returncode
    ):
        raise ReleaseError("the tests are not green")
    return [write(root, folder, version) for folder, (_, version) in zip(folders, wanted, strict=True)]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    draft = verbs.add_parser("notes", help="print the notes that the fragments make")
    draft.add_argument("packages", nargs="*", metavar="PACKAGE")
    dry = verbs.add_parser("dry-run", help="build sdists and wheels, check them, write nothing")
    dry.add_argument("packages", nargs="*", metavar="PACKAGE")
    one = verbs.add_parser("release", help="check, test, write the notes, commit, tag")
    one.add_argument("wanted", nargs="+", metavar="PACKAGE VERSION")
    options = parser.parse_args()
    every = [path.parent.name for path in sorted(ROOT.glob("p*/*/pyproject.toml"))]
    try:
        if options.verb == "release":
            if len(options.wanted) % 2:
                raise ReleaseError("name a version after each package")
            for tag in release(ROOT, list(zip(options.wanted[::2], options.wanted[1::2], strict=True))):
                print(f"{tag} is committed and tagged")
            print("Now raise the versions in pyproject.toml")
            return 0
        for package in options.packages or every:
            folder = folder_of(ROOT, package)
            if options.verb == "notes":
                print(f"# {package}\n\n{notes(folder) or 'No fragments.'}\n")
            else:
                built(folder)
                print(f"{package}: sdist and wheel are in order", flush=True)
    except ReleaseError as error:
        print(f"not released: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
