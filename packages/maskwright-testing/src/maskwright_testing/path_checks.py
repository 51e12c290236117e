"""Contracts of components with a setting that is a path."""

from pathlib import Path
from typing import Any

from maskwright.errors import UserError
from maskwright.params import fields_of
from maskwright.values import optional_of
from maskwright_testing.cases import STEP, Case, fail

NO_SUCH_PATH = "no-such-file-or-folder"


def path_settings(params_class: type) -> list[str]:
    """Names of the settings that are paths."""
    return [
        name
        for name, field in fields_of(params_class).items()
        if not field.is_slot and optional_of(field.type)[0] is Path
    ]


def _read(part: Any, kind: str) -> None:
    """Make a part that reads its file late read it now."""
    if kind == "dataset":
        for split in part.splits():
            if part.length(split):
                part.item(split, 0, STEP)


def check_path_missing(case: Case) -> None:
    """A path that does not exist ends in one UserError, or one mistake, that names it."""
    case.need_torch()
    for name in path_settings(case.params_class):
        node, mistakes = case.plan({**case.raw(case.example()), name: case.folder / NO_SUCH_PATH})
        if mistakes:
            if len(mistakes) != 1 or NO_SUCH_PATH not in mistakes[0].message:
                fail(
                    f"{name}: expected one mistake that names the path, found {'; '.join(map(str, mistakes))}"
                )
            continue
        assert node is not None  # no mistakes: there is a tree
        try:
            _read(node.params.build(), case.listed.kind)
        except UserError as error:
            if NO_SUCH_PATH not in str(error):
                fail(f"{name}: the error does not name the path: {error}")
        except Exception as error:
            fail(f"{name}: a missing path raises {type(error).__name__}: {error}, not a UserError")
        else:
            fail(f"{name}: a missing path raises nothing")
