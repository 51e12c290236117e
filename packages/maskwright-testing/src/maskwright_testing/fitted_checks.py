"""Contracts of fitted parts: `maskwright.contracts.Fitted`. They are saved once and afterwards only loaded."""

import zipfile
from pathlib import Path
from typing import Any

from maskwright.errors import UserError
from maskwright_testing.cases import STEP, Case, Skipped, fail
from maskwright_testing.differences import difference

CODE = {".pkl", ".pickle", ".joblib", ".pt", ".pth", ".dill", ".py", ".pyc"}
"""Suffixes of files whose reading can run code."""


def _saved(part: Any, folder: Path) -> dict[str, bytes]:
    folder.mkdir(exist_ok=True)
    part.save(folder)
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def check_fitted_example_data(case: Case) -> None:
    """There is data to fit it on."""
    try:
        case.data()
    except Skipped as reason:
        fail(str(reason))


def check_fitted_load_gives_the_same(case: Case) -> None:
    """Saved and loaded into a new instance, it saves the same bytes; a pipeline gives the same results."""
    part, data = case.working()
    saved = _saved(part, case.folder / "first")
    if not saved:
        fail("save() wrote no file")
    loaded = case.build()
    loaded.load(case.folder / "first")
    if saved != (again := _saved(loaded, case.folder / "second")):
        names = sorted(name for name in saved.keys() | again.keys() if saved.get(name) != again.get(name))
        fail(f"saved after loading, these files differ: {', '.join(names)}")
    items = case.items(data) if case.listed.kind == "pipeline" else []
    if items and (found := difference(list(part(items, STEP)), list(loaded(items, STEP)))):
        fail(f"after loading: {found}")


def check_fitted_same_data_same_bytes(case: Case) -> None:
    """Fitted again on the same data with the same step, it saves the same bytes."""
    one, two = case.working()[0], case.working()[0]
    first, second = _saved(one, case.folder / "first"), _saved(two, case.folder / "second")
    names = sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))
    if names:
        fail(f"fitted twice, these files differ: {', '.join(names)}")


def check_fitted_saves_no_code(case: Case) -> None:
    """What it saves holds no pickles, so that loading cannot run code."""
    part, _ = case.working()
    for name, content in _saved(part, case.folder / "saved").items():
        path = case.folder / "saved" / name
        if (
            path.suffix in CODE or content[:1] == b"\x80"
        ):  # every pickle since protocol 2 begins with this byte
            fail(f"{name} can run code when it is read")
        if path.suffix == ".npy" and _holds_objects(content):
            fail(f"{name} holds an array of Python objects, which are pickled")
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                objects = [inner for inner in archive.namelist() if _holds_objects(archive.read(inner))]
            if objects:
                fail(f"{name} holds arrays of Python objects, which are pickled: {', '.join(objects)}")


def _holds_objects(content: bytes) -> bool:
    """Whether a .npy file says in its header that its entries are Python objects."""
    return content[:6] == b"\x93NUMPY" and b"'descr': '|O'" in content[:400]


def check_fitted_load_refuses_what_is_not_there(case: Case) -> None:
    """Loading from an empty folder raises a UserError that names the folder."""
    empty = case.folder / "empty"
    empty.mkdir()
    try:
        case.build().load(empty)
    except UserError as error:
        if str(empty) not in str(error):
            fail(f"the error does not name the folder: {error}")
    except Exception as error:
        fail(f"loading from an empty folder raises {type(error).__name__}: {error}, not a UserError")
    else:
        fail("loading from an empty folder raises nothing")
