"""Write the tables of a page of results from the run folders of experiments, so that no number is typed by hand.

for x in a b c d e; do maskwright run joint-dag-experiment-$x --out results/$x; done
python tools/results_page.py docs/causal-results.md results/a results/b results/c results/d results/e

What stands above the line MARK in the page is written by people and stays; what is below is made anew.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

MARK = "<!-- below: made by tools/results_page.py -->"
CAUSAL = ("order_error", "shd", "union_f1")
METHODS = ("joint", "pooled", "sort-variance", "sort-r2")


def findings_of(run: Path) -> dict[str, Any]:
    (found,) = run.glob("artefacts/findings/*-experiment/findings.json")
    return json.loads(found.read_text(encoding="utf-8"))


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(str(row.get(column, "")) for column in columns) + " |" for row in rows]
    return "\n".join(lines)


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def section(run: Path) -> str:
    """One experiment: the command, its claims, its tables."""
    found = findings_of(run)
    resolved = json.loads((run / "resolved.json").read_text(encoding="utf-8"))
    name = (run / "recipe.toml").read_text(encoding="utf-8").split('"')[1].partition("@")[0]
    claims = [
        {
            "claim": row["claim"],
            "gain": f"{number(row['gain'])} [{number(row['95 % low'])}, {number(row['95 % high'])}]",
            "margin": number(row["margin"]),
            "verdict": f"**{row['verdict']}**",
        }
        for row in found["tables"]["Claims"]
    ]
    typed = run / "overrides.txt"
    words = typed.read_text(encoding="utf-8").split("\n") if typed.is_file() else []
    command = " ".join([name, *(shortened(word) for word in words if word)])
    parts = [
        f"## `maskwright run {command}`",
        f"{len(resolved['arms'])} arms × {len(resolved['seeds'])} seeds.",
        table(claims, ["claim", "gain", "margin", "verdict"]),
    ]
    return "\n\n".join([*parts, *(methods(found) or metrics(found))])


def shortened(word: str) -> str:
    """A path of the machine the runs were made on is nobody else's."""
    key, sign, value = word.partition("=")
    return f"{key}{sign}{'FOLDER' if Path(value).is_dir() else Path(value).name}"


def methods(found: Mapping[str, Any]) -> list[str]:
    """Metrics `arms/METHOD/METRIC`: a table for each metric, arms by methods."""
    made = []
    for metric in CAUSAL:
        by_method = {m: found["tables"].get(f"arms/{m}/{metric}") for m in METHODS}
        present = {m: rows for m, rows in by_method.items() if rows}
        if present:
            arms = [row["arm"] for row in next(iter(present.values()))]
            rows = [
                {metric: arm} | {m: spread(r[i]) for m, r in present.items()} for i, arm in enumerate(arms)
            ]
            made.append(table(rows, [metric, *present]))
    return made


def metrics(found: Mapping[str, Any]) -> Iterator[str]:
    """One table for each evaluator, arms by metrics."""
    groups: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for name, rows in found["tables"].items():
        if name != "Claims":
            evaluator, _, metric = name.rpartition("/")
            groups.setdefault(evaluator, {})[metric] = rows
    for evaluator, columns in groups.items():
        arms = [row["arm"] for row in next(iter(columns.values()))]
        rows = [
            {evaluator: arm} | {metric: spread(found[i]) for metric, found in columns.items()}
            for i, arm in enumerate(arms)
        ]
        yield table(rows, [evaluator, *columns])


def spread(row: Mapping[str, Any]) -> str:
    return f"{number(row['mean'])} ± {number(row['spread'])}"


def main(page: Path, folders: Sequence[str]) -> None:
    above, mark, _ = page.read_text(encoding="utf-8").partition(MARK)
    if not mark:
        sys.exit(f"{page} has no line {MARK}")
    parts = [above.rstrip(), MARK, *(section(Path(folder)).rstrip() for folder in folders)]
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
