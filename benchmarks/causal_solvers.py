"""Times the causal solvers against the targets of the plugin and against a general conic solver.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python benchmarks/causal_solvers.py [--out FILE]

CPU seconds, least of the repetitions; ratios are the numbers to quote. Data: the paper's random graphs, one draw.
"""

import argparse
import json
import platform
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from maskwright.step import Step
from maskwright_causal import OrderConsistentDAG
from maskwright_causal.convex import allowed_by_order, fit_allowed
from maskwright_causal.generators import random_models, union_supports
from maskwright_causal.gram import Grams
from maskwright_causal.objective import Penalty, objective


def draw(variables: int, tasks: int, rows: int, union: int, edges: int, seed: int = 0) -> list[np.ndarray]:
    """K tables of the paper's model, each (rows, variables)."""
    step = Step(seed=seed)
    degree = int(np.ceil(np.log2(variables))) + 1
    support, order = union_supports(variables, tasks, edges, union, degree, "out", False, step)
    models = random_models(support, order, step)
    return [models.rows(k, rows, step) for k in range(tasks)]


def cpu(work: Callable[[], Any], repeat: int) -> tuple[float, Any]:
    """Least CPU seconds of `repeat` runs, and the last answer."""
    times = []
    for _ in range(repeat):
        begin = time.process_time()
        answer = work()
        times.append(time.process_time() - begin)
    return min(times), answer


def own_against_conic(rows: int, factor: float, repeat: int) -> dict[str, float]:
    """The convex step at p = 30, K = 8, order given, penalty `factor` times the theory's formula."""
    grams = Grams.from_rows(draw(30, 8, rows, 120, 40))
    order = OrderConsistentDAG().fit_covariance(grams.second, grams.counts).order_index_
    allowed = allowed_by_order(order, ~np.eye(30, dtype=bool))
    penalty = Penalty(group=factor * 0.5 * np.sqrt(8 * np.log(30) / rows))
    fit_allowed(grams, allowed, penalty)  # warm; the repetitions below warm the other side
    own, (coef, _) = cpu(lambda: fit_allowed(grams, allowed, penalty), 5 * repeat)
    conic, (other, _) = cpu(lambda: fit_allowed(grams, allowed, penalty, backend="cvxpy"), repeat)
    value, wanted = objective(grams, coef, penalty), objective(grams, other, penalty)
    return {
        "bcd seconds": own,
        "cvxpy seconds": conic,
        "cvxpy / bcd": conic / own,
        "edges": int(coef.any(axis=0).sum()),
        "objective bcd": value,
        "objective bcd - cvxpy": value - wanted,
        "largest weight difference": float(np.abs(coef - other).max()),
    }


def fits(repeat: int) -> dict[str, float]:
    """Whole fits, from rows to graphs."""
    cases = {
        "topdown p=100 K=10 n=200": (OrderConsistentDAG("topdown"), draw(100, 10, 200, 480, 160)),
        "default p=50 K=8 n=100": (OrderConsistentDAG(), draw(50, 8, 100, 210, 70)),
        "default, alpha=ebic p=50 K=8 n=100": (OrderConsistentDAG(alpha="ebic"), draw(50, 8, 100, 210, 70)),
        "topdown+search p=20 K=8 n=40": (OrderConsistentDAG("topdown+search"), draw(20, 8, 40, 60, 20)),
        "topdown+search p=50 K=8 n=100": (OrderConsistentDAG("topdown+search"), draw(50, 8, 100, 210, 70)),
        "continuous p=20 K=8 n=40": (OrderConsistentDAG("continuous"), draw(20, 8, 40, 60, 20)),
        "dp p=10 K=8 n=40": (OrderConsistentDAG("dp"), draw(10, 8, 40, 20, 12)),
        "default p=16 K=8 n=20": (OrderConsistentDAG(), draw(16, 8, 20, 40, 14)),
    }
    return {
        name: cpu(lambda m=model, t=tables: m.fit(t), repeat)[0] for name, (model, tables) in cases.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="write the numbers as JSON")
    parser.add_argument("--repeat", type=int, default=2)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # of scales and the like; the data are generated
    result = {
        "machine": f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}",
        **{
            f"convex step p=30 K=8 n={rows}, {factor} x theory": own_against_conic(
                rows, factor, options.repeat
            )
            for rows, factor in ((20, 1), (20, 3), (60, 1), (60, 3), (200, 1), (200, 3))
        },
        "fit, CPU seconds": fits(options.repeat),
    }
    for title, numbers in result.items():
        print(title if isinstance(numbers, dict) else f"{title}: {numbers}")
        for name, value in numbers.items() if isinstance(numbers, dict) else ():
            print(f"  {name:<38} {value:.6g}")
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
