"""Compares the causal plugin with other programs on the same tables: seconds and structural Hamming distance.

The peers live in an environment of their own, because they bring torch and pull numpy and scipy back:

    python -m venv peers && peers/bin/pip install "torch==2.13.0" dagma==1.1.1 gcastle==1.0.4
    python benchmarks/causal_peers.py --peer-python peers/bin/python [--out FILE]

First one table against one table: the peers know no tasks. Then the joint fit of K = 8 tables beside it, judged on
the same first table. Ours is topdown with alpha="ebic"; DAGMA has its default l1 weight, NOTEARS 0.1. Every method gets
centred columns and is cut at 0.3. CPU seconds of the fit alone, without imports.
"""

import argparse
import json
import subprocess
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

# Runs in the peers' interpreter: reads tables as JSON from standard input, writes one JSON line per method.
PEER = """
import contextlib, io, json, logging, os, sys, time
import numpy as np
job = json.load(sys.stdin)
rows = np.array(job["rows"])
def dagma():
    from dagma.linear import DagmaLinear
    return lambda: DagmaLinear(loss_type="l2").fit(rows, lambda1=0.03, w_threshold=0.0)
def notears():
    import castle
    logging.disable(logging.CRITICAL)
    from castle.algorithms import Notears
    def fit():
        model = Notears(lambda1=0.1, w_threshold=0.3)
        model.learn(rows)
        return model.weight_causal_matrix
    return fit
methods = {"dagma": dagma, "notears (gcastle)": notears}
for name, prepare in methods.items():
    if name not in job["methods"]:
        continue
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            fit = prepare()
            begin = time.process_time()
            weights = np.asarray(fit())
            seconds = time.process_time() - begin
        answer = {"method": name, "seconds": seconds, "weights": weights.tolist()}
    except Exception as error:
        answer = {"method": name, "error": f"{type(error).__name__}: {error}"}
    print("RESULT " + json.dumps(answer), flush=True)
"""


def peers(python: Path, rows: np.ndarray, limit: float) -> list[dict[str, Any]]:
    """What the peers make of one table (n, p)."""
    # NOTEARS takes minutes beyond 20 variables.
    methods = ["dagma", "notears (gcastle)"] if rows.shape[1] <= 20 else ["dagma"]
    text = json.dumps({"rows": rows.tolist(), "methods": methods})
    try:
        done = subprocess.run(
            [python, "-c", PEER], input=text, capture_output=True, text=True, timeout=limit, check=False
        )
        output, broken = done.stdout, done.stderr.strip().splitlines()[-1:] if done.returncode else []
    except subprocess.TimeoutExpired as error:
        output = (error.stdout or b"").decode() if isinstance(error.stdout, bytes) else error.stdout or ""
        broken = [f"stopped after {limit:.0f} s"]
    found = [json.loads(line[7:]) for line in output.splitlines() if line.startswith("RESULT ")]
    return found + [{"method": "peers", "error": line} for line in broken]


def ours(tables: list[np.ndarray]) -> tuple[float, np.ndarray]:
    """CPU seconds and the weights of the first task."""
    from maskwright_causal import OrderConsistentDAG

    begin = time.process_time()
    fitted = OrderConsistentDAG(alpha="ebic").fit(tables)
    return time.process_time() - begin, fitted.coef_[0]


def compare(variables: int, rows: int, seeds: int, python: Path | None, limit: float) -> list[dict[str, Any]]:
    """One line per method and seed."""
    from maskwright.step import Step
    from maskwright_causal.controls import sort_and_regress
    from maskwright_causal.generators import random_models, union_supports
    from maskwright_causal.graph_metrics import edge_metrics

    lines = []
    edges = 2 * variables
    for seed in range(seeds):
        step = Step(seed=seed)
        support, order = union_supports(variables, 8, edges, int(1.5 * edges), 8, "out", False, step)
        models = random_models(support, order, step)
        tables = [models.rows(k, rows, step) for k in range(8)]
        tables = [t - t.mean(axis=0) for t in tables]
        answers = [("ours, K=1", *ours(tables[:1]), ""), ("ours, K=8", *ours(tables), "")]
        begin = time.process_time()
        control = sort_and_regress(tables[:1]).coef[0]
        answers.append(("sort by variance", time.process_time() - begin, control, ""))
        for answer in peers(python, tables[0], limit) if python else ():
            weights = np.array(answer.get("weights", np.zeros((variables, variables))))
            answers.append(
                (answer["method"], answer.get("seconds", float("nan")), weights, answer.get("error", ""))
            )
        for method, seconds, weights, error in answers:
            line = {
                "p": variables,
                "n": rows,
                "seed": seed,
                "method": method,
                "seconds": seconds,
                "error": error,
            }
            if not error:
                metrics = edge_metrics(np.abs(weights) >= 0.3, models.support[0])
                line |= {"shd": metrics["shd"], "tpr": metrics["tpr"]}
            lines.append(line)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--peer-python", type=Path, help="interpreter with dagma and gcastle; without it only ours"
    )
    parser.add_argument("--out", type=Path, help="write every line as JSON")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--p", type=int, default=0, help="only this number of variables")
    parser.add_argument("--limit", type=float, default=300, help="seconds for the peers on one table")
    options = parser.parse_args()
    if options.peer_python is None:
        print("no --peer-python: the peers are left out; how to make their environment:")
        print("\n".join(line for line in __doc__.splitlines() if line.startswith("    ")))
    warnings.simplefilter("ignore")
    lines = []
    sizes = ((10, 40), (10, 1000), (20, 40), (20, 1000), (50, 100), (100, 200))
    chosen = [size for size in sizes if options.p in (0, size[0])]
    for variables, rows in chosen:
        lines += compare(variables, rows, options.seeds, options.peer_python, options.limit)
    print(
        f"{'p':>3} {'n':>5}  {'method':<20} {'CPU s':>8} {'SHD':>6} {'TPR':>5}   mean of {options.seeds} draws"
    )
    for key in dict.fromkeys((line["p"], line["n"], line["method"]) for line in lines):
        own = [line for line in lines if (line["p"], line["n"], line["method"]) == key]
        good = [line for line in own if not line["error"]]
        if not good:
            print(f"{key[0]:>3} {key[1]:>5}  {key[2]:<20} {own[0]['error']}")
            continue
        mean = {name: np.mean([line[name] for line in good]) for name in ("seconds", "shd", "tpr")}
        note = "" if len(good) == len(own) else f"   {len(own) - len(good)} failed: {own[-1]['error']}"
        numbers = f"{mean['seconds']:8.2f} {mean['shd']:6.1f} {mean['tpr']:5.2f}"
        print(f"{key[0]:>3} {key[1]:>5}  {key[2]:<20} {numbers}{note}")
    if options.out:
        options.out.write_text(json.dumps(lines, indent=1) + "\n")


if __name__ == "__main__":
    main()
