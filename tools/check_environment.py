"""Prove that this environment is what its name says, before its tests run.

Every Maskwright package must come from a wheel inside the environment, not from the source tree; the modules named
by --absent (comma-separated) must not be importable.
"""

import argparse
import importlib.metadata
import importlib.util
import sys
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--absent", default="", help="modules that must not be importable, comma-separated")
    absent = [name for name in parser.parse_args().absent.split(",") if name]
    wrong = [f"{name} is importable" for name in absent if importlib.util.find_spec(name)]
    ours = [d for d in importlib.metadata.distributions() if d.name.startswith("maskwright")]
    wrong += [] if ours else ["no Maskwright package is installed"]
    for found in ours:
        module = found.name.replace("-", "_")
        spec = importlib.util.find_spec(module)
        origin = Path(spec.origin).resolve() if spec and spec.origin else None
        if origin is None or not origin.is_relative_to(Path(sys.prefix).resolve()):
            wrong.append(f"{found.name} is imported from {origin}, not from this environment")
    print(
        "installed:", *sorted(f"{d.name} {d.version}" for d in ours), "| absent:", *absent or ["(not asked)"]
    )
    for line in wrong:
        print(f"wrong environment: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
