"""Meta-gradients against TorchOpt and a loop written by hand: the same numbers, and what an update costs.

TorchOpt lives in an environment of its own, with the Python that runs this:

    python -m venv peers && peers/bin/pip install torch==2.13.0 torchopt==0.7.3

    python benchmarks/meta.py --peer-python peers/bin/python    # about four minutes; needs meta and text
    python benchmarks/meta.py --only parity                     # without TorchOpt: against the loop by hand alone

Parity is the greatest difference in float64, two inner steps. Time is CPU time of one thread, medians; all ways take
turns in one process, so that the ratios hold on a busy machine. What the ways are: `benchmarks/meta_updates.py`.
Results go to benchmarks/results/meta.json. The exit code is 1 where a gradient differs by more than 1e-10.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from timing import keep, show

NETS = {"mlp": "a small MLP, 32 texts a chunk", "text": "two transformer blocks of width 64, 8 texts a chunk"}
ORDERS, DEPTHS = ("second", "first"), (1, 3)
TOLERANCE = 1e-10
REPEATS = {"mlp": 40, "text": 12}

# Runs in the peers' interpreter. What that lacks comes from ours; what it has, torch above all, goes first.
PEER = """
import json, sys
given = json.load(sys.stdin)
sys.path += given["paths"]
from meta_updates import answer
for job in given["jobs"]:
    print("RESULT " + json.dumps(answer(job)), flush=True)
"""


def answers(jobs: list[dict[str, Any]], python: Path | None, limit: float) -> list[dict[str, Any]]:
    """One for each job. Without `python` they are worked on here."""
    if python is None:
        from meta_updates import answer

        return [answer({**job, "peers": False}) for job in jobs]
    given = {"paths": [path for path in sys.path if path], "jobs": [{**job, "peers": True} for job in jobs]}
    done = subprocess.run(
        [python, "-c", PEER],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=limit,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    if done.returncode:
        sys.exit(f"{python} ended with {done.returncode}:\n{done.stderr.strip()[-2000:]}")
    return [json.loads(line[7:]) for line in done.stdout.splitlines() if line.startswith("RESULT ")]


def largest_difference(found: dict[str, Any]) -> float:
    return max(value for name, value in found.items() if not name.startswith("greatest"))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = ["parity", "time"]
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument(
        "--peer-python", type=Path, help="interpreter with TorchOpt; without it the loop by hand alone"
    )
    parser.add_argument("--quick", action="store_true", help="few repeats, to see that it works")
    parser.add_argument("--limit", type=float, default=1200, help="seconds for the peers")
    options = parser.parse_args()
    jobs: dict[str, dict[str, Any]] = {"versions": {"ask": "versions"}}
    for net, words in NETS.items():
        if "parity" in options.only:
            for order in ORDERS:
                jobs[f"parity: {words}, {order} order"] = {"ask": "parity", "net": net, "order": order}
        if "time" in options.only:
            for depth in DEPTHS:
                for order in ORDERS:
                    jobs[f"time: {words}, depth {depth}, {order} order"] = {
                        "ask": "time_of", "net": net, "depth": depth, "order": order,
                        "repeats": 2 if options.quick else REPEATS[net],
                    }  # fmt: skip
    found = answers(list(jobs.values()), options.peer_python, options.limit)
    results = dict(zip(jobs, found, strict=True))
    for title, values in results.items():
        show(title, values)
    if not options.quick:
        keep("meta", results)
    wrong = [
        title
        for title, values in results.items()
        if title.startswith("parity") and largest_difference(values) > TOLERANCE
    ]
    for title in wrong:
        print(f"\nnot the same gradient: {title}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
