"""Chores: what edits, builds or measures something. They run in the environment nox was started from
(CONTRIBUTING.md tells how to make it). What proves something in a clean environment is in tox.ini.
"""

import sys
from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "imports"]
nox.options.default_venv_backend = "none"


def python(session: nox.Session, *arguments: str, **options: dict[str, str]) -> None:
    session.run(sys.executable, *arguments, external=True, **options)


@nox.session
def lint(session: nox.Session) -> None:
    """Mend what ruff can mend, show the rest, and check the rules of the repository."""
    python(session, "-m", "ruff", "format", ".")
    python(session, "-m", "ruff", "check", "--fix", ".")
    python(session, "-m", "pytest", "tests", *session.posargs)


@nox.session
def types(session: nox.Session) -> None:
    """mypy; the files it looks at are listed in pyproject.toml."""
    python(session, "-m", "mypy", *session.posargs)


@nox.session
def imports(session: nox.Session) -> None:
    """Who may import whom (.importlinter)."""
    session.run(str(Path(sys.executable).parent / "lint-imports"), "--no-cache", external=True)


@nox.session
def bench(session: nox.Session) -> None:
    """Run benchmarks/, all or the named ones (bench -- startup); each writes JSON to benchmarks/results/."""
    files = sorted(Path("benchmarks").glob("*.py"))
    chosen = [file for file in files if not session.posargs or file.stem in session.posargs]
    if not chosen:
        session.error(f"no such benchmark; there are: {', '.join(file.stem for file in files) or 'none'}")
    for file in chosen:
        python(session, str(file))


@nox.session
def composition(session: nox.Session) -> None:
    """Plan every combination of parts (docs/composition.md), then train a cover of them: composition [-- --most 20]."""
    python(session, "tools/composition.py", "plan", "--check")
    python(session, "tools/composition.py", "run", *session.posargs)


@nox.session
def claims(session: nox.Session) -> None:
    """The pages of results and docs/claims.md from docs/results/: claims [-- --check]. Nothing is run for it."""
    python(session, "tools/results.py", "pages", *session.posargs)


@nox.session
def installs(session: nox.Session) -> None:
    """What each package brings to a fresh environment (docs/installs.md): installs [-- --check]. Wants dist/."""
    python(session, "tools/installs.py", *session.posargs)


@nox.session
def known(session: nox.Session) -> None:
    """The list by which the core names a package that is missing: known [-- --check]."""
    python(session, "tools/known_components.py", *session.posargs)


@nox.session
def kill(session: nox.Session) -> None:
    """Kill and resume runs a hundred times, and at every write in every way (the tests do less of both)."""
    for tests in ("integration", "packages/maskwright/tests"):
        python(session, "-m", "pytest", tests, "-k", "kill", env={"MASKWRIGHT_KILLS": "100"})


@nox.session
def mutate(session: nox.Session) -> None:
    """Take away the lines of tools/mutations.toml, one by one: their tests must turn red. mutate [-- PATHPART …]"""
    python(session, "tools/mutate.py", *session.posargs)


@nox.session
def changes(session: nox.Session) -> None:
    """Print the release notes that the fragments in changes/ would make: changes [-- PACKAGE …]."""
    python(session, "tools/release.py", "notes", *session.posargs)


@nox.session
def release(session: nox.Session) -> None:
    """Check, build, test, write the notes and tag: release -- PACKAGE VERSION …; try it: release -- --dry-run."""
    dry = session.posargs[:1] == ["--dry-run"]
    words = ["dry-run", *session.posargs[1:]] if dry else ["release", *session.posargs]
    python(session, "tools/release.py", *words)
