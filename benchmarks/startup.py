"""How long the command line takes to start, as CPU time relative to the imports it cannot do without.

    python benchmarks/startup.py

Measured are `maskwright list` and `maskwright check RECIPE` with what is installed, and again beside 100 made-up
plugins of 5 components each. Ratios of CPU time hold on a busy machine, seconds do not.
"""

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

REPEATS = 7
PLUGINS, COMPONENTS = 100, 5
BASE = "import pluggy, attrs, argparse, importlib.metadata"
CLI = "import sys; from maskwright.cli.main import main; sys.exit(main({arguments!r}))"
# Highest ratio that the design allows, without and with the made-up plugins.
TARGETS = {"list": (1.6, 2.5), "check": (2.5, 3.5)}

PLUGIN = """\
from maskwright import Component, hookimpl

MASKWRIGHT_API = 1


@hookimpl
def maskwright_schedules():
    for number in range({components}):
        yield Component(f"made-up-{index}-{{number}}", "maskwright.schedule_params:Constant", "A constant")
"""


def cpu_seconds(code: str, extra: Path | None) -> float:
    """Median CPU seconds (user and system) of a fresh Python that runs the code, after one run to warm up."""
    environ = os.environ | ({"PYTHONPATH": str(extra)} if extra else {})
    times = []
    for _ in range(REPEATS + 1):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], env=environ, check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(times[1:])


def write_plugins(folder: Path) -> None:
    """Made-up plugins as pip would leave them: a module and the metadata of its distribution."""
    for index in range(PLUGINS):
        (folder / f"made_up_{index}.py").write_text(PLUGIN.format(index=index, components=COMPONENTS))
        metadata = folder / f"made_up_{index}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: made-up-{index}\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[maskwright]\nmade-up-{index} = made_up_{index}\n")


def main() -> int:
    recipe = sys.argv[1] if len(sys.argv) > 1 else "joint-dag"
    verbs = {"list": ["list"], "check": ["check", recipe]}
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        write_plugins(Path(name))
        base = cpu_seconds(BASE, None)
        for verb, arguments in verbs.items():
            code = CLI.format(arguments=arguments)
            for where, extra, target in zip(
                ("alone", "beside"), (None, Path(name)), TARGETS[verb], strict=True
            ):
                seconds = cpu_seconds(code, extra)
                results[f"{verb} {where}"] = {
                    "cpu_seconds": round(seconds, 3),
                    "ratio": round(seconds / base, 2),
                    "target": target,
                }
    for label, row in results.items():
        verdict = "within" if row["ratio"] <= row["target"] else "OVER"
        print(
            f"{label:14} {row['cpu_seconds']:.3f} s  ratio {row['ratio']:.2f}  {verdict} target {row['target']}"
        )
    machine = {"python": platform.python_version(), "platform": platform.platform(), "cores": os.cpu_count()}
    report = {"machine": machine, "base_cpu_seconds": round(base, 3), "results": results}
    out = Path(__file__).parent / "results" / "startup.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
