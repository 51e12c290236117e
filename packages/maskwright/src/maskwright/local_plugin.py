"""`maskwright_local.py`: a plugin that is one file in the current folder."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

FILE = "maskwright_local.py"


def module_of(path: Path) -> ModuleType:
    """Run the file; it raises whatever the file raises."""
    spec = importlib.util.spec_from_file_location("maskwright_local", path)
    assert spec is not None and spec.loader is not None  # a path that ends in .py always has a loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["maskwright_local"] = module
    spec.loader.exec_module(module)
    return module


def cure_of(path: Path, error: BaseException) -> str:
    """What to do when it raised this."""
    name = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if name and ((path.parent / f"{name}.py").is_file() or (path.parent / name).is_dir()):
        # The run keeps a copy of this one file, so it has to be the whole plugin.
        move = f"move what it needs of {name} into it"
        return f"{FILE} cannot import its neighbours: {move}, or make a package (maskwright new-plugin)"
    return f"mend {path}, or run with --no-local"
