"""Which slow libraries a module imports, found out in a process where they cannot be imported.

Blocking them, instead of looking into `sys.modules` afterwards, tells each module's own imports apart although one
process tries them all, and needs none of the libraries to be installed.
"""

import functools
import importlib
import json
import os
import subprocess
import sys
from importlib.machinery import ModuleSpec
from typing import Any

HEAVY = frozenset(
    {
        "cvxpy",
        "jax",
        "matplotlib",
        "networkx",
        "numpy",
        "pandas",
        "PIL",
        "scipy",
        "sklearn",
        "tensorflow",
        "torch",
        "transformers",
    }
)
"""Top-level packages that take a noticeable part of a second to import."""


class _Refuser:
    """Finder that notes an attempt to import a heavy package and lets it fail."""

    def __init__(self) -> None:
        self.attempts: list[str] = []

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name.partition(".")[0] in HEAVY:
            self.attempts.append(name.partition(".")[0])
            raise ModuleNotFoundError(f"{name} is not to be imported here", name=name)
        return None


def probe(modules: list[str]) -> dict[str, list[str]]:
    """Module -> heavy packages it tried to import. Only for a process of its own."""
    refuser = _Refuser()
    sys.meta_path.insert(0, refuser)
    found = {}
    for module in modules:
        refuser.attempts.clear()
        try:
            importlib.import_module(module)
        except Exception as error:
            if not refuser.attempts:  # a fault of another sort
                found[module] = [f"nothing heavy, but fails with {type(error).__name__}: {error}"]
                continue
        found[module] = sorted(set(refuser.attempts))
    return found


@functools.cache
def heavy_imports(modules: tuple[str, ...]) -> dict[str, list[str]]:
    """Module -> heavy packages that importing it imports, found in one new process for all of them."""
    done = subprocess.run(
        [sys.executable, "-m", "maskwright_testing.import_probe", *modules],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the import probe failed: {done.stderr.strip()}")
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    print(json.dumps(probe(sys.argv[1:])))
