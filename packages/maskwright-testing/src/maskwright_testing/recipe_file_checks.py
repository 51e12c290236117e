"""Contracts of recipe files that a package ships. They may take minutes, so they are planned here and not run: the
recipe they use is run by its example, and the package's own tests run its files.
"""

import tomllib
from pathlib import Path

from maskwright.params import fields_of
from maskwright.planning import Plan, plan
from maskwright.sources import shipped_text
from maskwright.tree import index_of
from maskwright_testing.cases import Case, fail


def _planned(case: Case) -> Plan:
    """The plan of the file. Paths that only the user can give are filled with a folder; nothing reads them here."""
    made = plan(case.listed.qualified)
    paths = [mistake.path for mistake in made.mistakes if _is_missing_path(made, mistake.path)]
    return plan(case.listed.qualified, dict.fromkeys(paths, case.folder)) if paths else made


def _is_missing_path(made: Plan, path: str) -> bool:
    owner, _, name = path.rpartition(".")
    node = index_of(made.root).get(owner) if made.root is not None else None
    if node is None or node.cls is None or name in node.settings:
        return False
    field = fields_of(node.cls).get(name)
    return field is not None and field.required and field.type is Path


def check_recipe_file_plans(case: Case) -> None:
    """The file is there, is TOML, and plans without a mistake, but for required paths that only the user knows."""
    tomllib.loads(shipped_text(case.listed.component.params))
    made = _planned(case)
    if made.mistakes:
        fail("; ".join(map(str, made.mistakes)))


def check_recipe_file_says_what_it_is(case: Case) -> None:
    """The file begins with a comment for the person who opens it; the component has a one-line summary."""
    if not shipped_text(case.listed.component.params).lstrip().startswith("#"):
        fail("the file does not begin with a comment that says what it is and what it costs")
    if not case.listed.component.summary.strip() or "\n" in case.listed.component.summary:
        fail("the component's summary must be one line of text")


def check_recipe_file_round_trip(case: Case) -> None:
    """What resolved.json would hold can be planned again and stays the same."""
    resolved = _planned(case).resolved()
    again = plan(resolved)
    if again.mistakes:
        fail(f"resolved.json could not be read again: {'; '.join(map(str, again.mistakes))}")
    if again.resolved() != resolved:
        fail("resolved.json changes when it is read again")
