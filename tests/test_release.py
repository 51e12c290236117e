"""The release helper refuses what is not ready and writes what the fragments say."""

import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import artefacts
import release


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=root, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one package, "toy" 0.2.0, and two fragments."""
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "Tester")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "tester@example.org")
    folder = tmp_path / "packages" / "toy"
    (folder / "changes").mkdir(parents=True)
    (folder / "pyproject.toml").write_text('[project]\nname = "toy"\nversion = "0.2.0"\n')
    (folder / "CHANGELOG.md").write_text("# Changes\n\n## 0.1.0 (2026-01-01)\n\n- First.\n")
    (folder / "changes" / ".gitkeep").touch()
    (folder / "changes" / "a.added.md").write_text("A masker\nof blocks.\n")
    (folder / "changes" / "b.fixed.md").write_text("A crash.\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "start")
    return tmp_path


def test_release_writes_notes_commits_and_tags(repository: Path):
    folder = release.check(repository, "toy", "0.2.0")
    assert release.write(repository, folder, "0.2.0") == "toy/v0.2.0"
    text = (folder / "CHANGELOG.md").read_text()
    day = git(repository, "show", "-s", "--format=%cs", "HEAD~1")
    assert text == (
        f"# Changes\n\n## 0.2.0 ({day})\n\n### Added\n\n- A masker\n  of blocks.\n\n### Fixed\n\n- A crash.\n"
        "\n## 0.1.0 (2026-01-01)\n\n- First.\n"
    )
    assert release.fragments(folder) == []
    assert git(repository, "status", "--porcelain") == ""
    assert git(repository, "tag", "--list") == "toy/v0.2.0"


def test_release_refuses_an_unknown_package(repository: Path):
    with pytest.raises(release.ReleaseError, match="there is no package 'toys' in packages/ or plugins/"):
        release.check(repository, "toys", "0.2.0")


def test_release_refuses_another_version(repository: Path):
    with pytest.raises(release.ReleaseError, match=r"toy is 0\.2\.0 in its pyproject\.toml, not 0\.3\.0"):
        release.check(repository, "toy", "0.3.0")


def test_release_refuses_a_changed_tree(repository: Path):
    (repository / "new.txt").write_text("x")
    with pytest.raises(release.ReleaseError, match="there are changes that are not committed"):
        release.check(repository, "toy", "0.2.0")


def test_release_refuses_a_second_time(repository: Path):
    git(repository, "tag", "toy/v0.2.0")
    with pytest.raises(release.ReleaseError, match=r"the tag toy/v0\.2\.0 exists already"):
        release.check(repository, "toy", "0.2.0")


def test_release_refuses_without_fragments(repository: Path):
    git(repository, "rm", "-q", "packages/toy/changes/a.added.md", "packages/toy/changes/b.fixed.md")
    git(repository, "commit", "-q", "-m", "no fragments")
    with pytest.raises(release.ReleaseError, match="toy has no fragments in changes/"):
        release.check(repository, "toy", "0.2.0")


def test_several_are_released_together_or_not_at_all(repository: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(release, "built", lambda folder: None)
    monkeypatch.setattr(release, "green", lambda root: True)
    with pytest.raises(release.ReleaseError, match="no package 'other'"):
        release.release(repository, [("toy", "0.2.0"), ("other", "1.0.0")])
    assert git(repository, "tag", "--list") == ""
    assert release.release(repository, [("toy", "0.2.0")]) == ["toy/v0.2.0"]


def test_a_release_runs_the_tests_unless_they_were_green(repository: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(release, "built", lambda folder: None)
    monkeypatch.setattr(release, "green", lambda root: False)
    (repository / "tools").mkdir()
    (repository / "tools" / "run_tests.py").write_text("import sys; sys.exit(1)")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "tests that fail")
    with pytest.raises(release.ReleaseError, match="the tests are not green"):
        release.release(repository, [("toy", "0.2.0")])
    assert git(repository, "tag", "--list") == ""


METADATA = f"""\
Metadata-Version: 2.4
Name: maskwright-toy
Version: 0.2.0
Summary: A toy
License-Expression: Apache-2.0
Requires-Python: >=3.11
Requires-Dist: maskwright<0.3,>=0.1
Requires-Dist: numpy>=2
Description-Content-Type: text/markdown

{"It does this and that. " * 12}
"""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("", "", []),
        ("maskwright<0.3,>=0.1", "maskwright>=0.1", ["maskwright>=0.1 has no upper bound"]),
        ("maskwright<0.3,>=0.1", "maskwright<0.3,==0.1.0", None),
        ("numpy>=2", "numpy", ["numpy has no lower bound"]),
        ("Summary: A toy\n", "", ["no summary"]),
        ("License-Expression: Apache-2.0", "License-Expression: my own", None),
        ("It does this and that. ", "", ["the README is not the description"]),
    ],
)
def test_metadata_that_is_not_in_order(old: str, new: str, told: list[str] | None):
    found = artefacts.metadata_problems(METADATA.replace(old, new))
    assert found if told is None else found == [f"metadata: {line}" for line in told]
