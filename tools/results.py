"""Results of experiments: kept as numbers in docs/results/, shown in the pages docs/*-results.md and docs/claims.md.

    maskwright run masking-experiment --out results/a
    python tools/results.py keep text results/a          # docs/results/text.json: one entry for each command
    python tools/results.py pages [--check]              # writes the pages, or says which of them differ

What stands above the line MARK of a page is written by people and stays; what is below is made anew. Nothing is run.
"""

import json
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from maskwright.recipes.claims import read_claim

DOCS = Path(__file__).resolve().parent.parent / "docs"
MARK = "<!-- below: made by tools/results.py -->"
CAUSAL = ("order_error", "shd", "union_f1")
METHODS = ("joint", "pooled", "sort-variance", "sort-r2")
ROUNDING = 1e-12
"""What float64 leaves of equal numbers."""
Table = Mapping[str, Sequence[Any]]


def kept(run: Path) -> dict[str, Any]:
    """What is kept of a run: its command, its claims, its tables."""
    (path,) = run.glob("artefacts/findings/*-experiment/findings.json")
    found = json.loads(path.read_text(encoding="utf-8"))["tables"]
    resolved = json.loads((run / "resolved.json").read_text(encoding="utf-8"))
    claims = found.pop("Claims", [])
    by_seed = list(seed_by_seed(run, resolved)) or [[] for _ in claims]
    return {
        "command": command(run),
        "arms": len(resolved["arms"]),
        "seeds": len(resolved["seeds"]),
        "claims": [
            {
                "claim": row["claim"],
                "gain": number(row["gain"]),
                "low": number(row["95 % low"]),
                "high": number(row["95 % high"]),
                "margin": number(row["margin"]),
                "verdict": row["verdict"],
                "seeds": [number(gain) for gain in gains],
            }
            for row, gains in zip(claims, by_seed, strict=True)
        ],
        "tables": list(methods(found)) or [*metrics(found), *differences(found)],
    }


def seed_by_seed(run: Path, resolved: Mapping[str, Any]) -> Iterator[list[float]]:
    """The gain of each seed, for each claim in turn; none where the children of the run are not there."""
    for raw in resolved.get("claims", []):
        claim, gains = read_claim(raw, list(resolved["arms"])), []
        for seed in resolved["seeds"]:
            arm, control = (
                last_values(run / "children" / name / f"seed-{seed}").get(claim.metric)
                for name in (claim.arm, claim.control or claim.arm)
            )
            if arm is not None and control is not None:
                gains.append(claim.gain(arm, control))
        yield gains


def last_values(run: Path) -> dict[str, float]:
    """Metric -> the value it ended with."""
    path = run / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return {entry["name"]: entry["value"] for entry in map(json.loads, lines)}


def command(run: Path) -> str:
    """As one types it after `maskwright run`. How many workers there were changes nothing."""
    name = (run / "recipe.toml").read_text(encoding="utf-8").split('"')[1].partition("@")[0]
    typed = run / "overrides.txt"
    words = typed.read_text(encoding="utf-8").split("\n") if typed.is_file() else []
    return shlex.join(
        [name, *(shortened(word) for word in words if word and not word.startswith("workers="))]
    )


def shortened(word: str) -> str:
    """A path of the machine the runs were made on is nobody else's."""
    key, sign, value = word.partition("=")
    if value.startswith(("/", "./", "../")):
        return f"{key}{sign}{'FOLDER' if Path(value).is_dir() else Path(value).name}"
    parts = value.split('path="')
    ends = [part.partition('"') for part in parts[1:]]
    return key + sign + 'path="'.join([parts[0], *(Path(path).name + '"' + rest for path, _, rest in ends)])


def number(value: float | None) -> str:
    if value is None:
        return "–"
    return "0" if abs(value) < ROUNDING else f"{value:.3g}"


def spread(row: Mapping[str, Any]) -> str:
    return f"{number(row['mean'])} ± {number(row['spread'])}"


def methods(found: Mapping[str, Any]) -> Iterator[Table]:
    """Metrics `arms/METHOD/METRIC`: a table for each metric, arms by methods."""
    for metric in CAUSAL:
        by_method = {m: found.get(f"arms/{m}/{metric}") for m in METHODS}
        present = {m: rows for m, rows in by_method.items() if rows}
        if present:
            arms = [row["arm"] for row in next(iter(present.values()))]
            rows = [[arm, *(spread(rows[i]) for rows in present.values())] for i, arm in enumerate(arms)]
            yield {"columns": [metric, *present], "rows": rows}


def metrics(found: Mapping[str, Any]) -> Iterator[Table]:
    """One table for each evaluator, arms by metrics."""
    groups: dict[str, dict[str, Sequence[Mapping[str, Any]]]] = {}
    for name, rows in found.items():
        evaluator, _, metric = name.rpartition("/")
        groups.setdefault(evaluator, {})[metric] = rows
    for evaluator, columns in groups.items():
        arms = [row["arm"] for row in next(iter(columns.values()))]
        rows = [[arm, *(spread(found[i]) for found in columns.values())] for i, arm in enumerate(arms)]
        yield {"columns": [evaluator, *columns], "rows": rows}


def differences(found: Mapping[str, Any]) -> Iterator[Table]:
    """The same tables with what each arm has more than the control, paired by seed, and the 95 % t interval."""
    groups: dict[tuple[str, str], dict[str, dict[str, str]]] = {}
    for name, rows in found.items():
        evaluator, _, metric = name.rpartition("/")
        if not any(
            abs(row.get(key) or 0) > ROUNDING for row in rows for key in row if key.startswith("minus ")
        ):
            continue  # the same in all arms
        for row in rows:
            for minus in (key for key in row if key.startswith("minus ")):
                text = f"{number(row[minus])} [{number(row['95 % low'])}, {number(row['95 % high'])}]"
                groups.setdefault((evaluator, minus), {}).setdefault(metric, {})[row["arm"]] = text
    for (evaluator, minus), columns in groups.items():
        arms = dict.fromkeys(arm for cells in columns.values() for arm in cells)
        rows = [[arm, *(cells.get(arm, "–") for cells in columns.values())] for arm in arms]
        yield {"columns": [f"{evaluator}, {minus}", *columns], "rows": rows}


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join([*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)])


def gain(claim: Mapping[str, str]) -> str:
    return f"{claim['gain']} [{claim['low']}, {claim['high']}]"


def section(entry: Mapping[str, Any]) -> str:
    """One experiment as it stands in its page."""
    claims = [
        [
            row["claim"],
            gain(row),
            ", ".join(row.get("seeds", [])) or "–",
            row["margin"],
            f"**{row['verdict']}**",
        ]
        for row in entry["claims"]
    ]
    return "\n\n".join(
        [
            f"## `maskwright run {entry['command']}`",
            f"{entry['arms']} arms × {entry['seeds']} seeds.",
            *(
                [table(["claim", "gain [95 %]", "seed by seed", "margin", "verdict"], claims)]
                if claims
                else []
            ),
            *(table(found["columns"], found["rows"]) for found in entry["tables"]),
        ]
    )


def claims_of(topic: str, entries: Sequence[Mapping[str, Any]]) -> str:
    """All claims of a page in one table, under a link to the page."""
    rows = [
        [
            f"`{entry['command'].split()[0]}`",
            row["claim"],
            entry["seeds"],
            gain(row),
            row["margin"],
            f"**{row['verdict']}**",
        ]
        for entry in entries
        for row in entry["claims"]
    ]
    head = ["maskwright run", "claim", "seeds", "gain [95 %]", "margin", "verdict"]
    return f"## [{topic}]({topic}-results.md)\n\n{table(head, rows)}"


def below(page: Path, parts: Sequence[str]) -> str:
    """The page with these parts in place of what was below MARK."""
    above, mark, _ = page.read_text(encoding="utf-8").partition(MARK)
    if not mark:
        sys.exit(f"{page} has no line {MARK}")
    return "\n\n".join([above.rstrip(), MARK, *parts]) + "\n"


def pages(docs: Path) -> dict[Path, str]:
    """Page -> what it should hold: one for each file of docs/results/, and the claims of all."""
    topics = {
        path.stem: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted((docs / "results").glob("*.json"))
    }
    made = {
        (page := docs / f"{topic}-results.md"): below(page, [section(entry) for entry in entries])
        for topic, entries in topics.items()
    }
    verdicts = [row["verdict"] for entries in topics.values() for entry in entries for row in entry["claims"]]
    counted = (
        f"{len(verdicts)} claims: {verdicts.count('shown')} shown, {verdicts.count('not shown')} not shown."
    )
    claims = [claims_of(topic, entries) for topic, entries in topics.items()]
    return made | {docs / "claims.md": below(docs / "claims.md", [counted, *claims])}


def keep(file: Path, runs: Sequence[Path]) -> None:
    """Put runs into a file of results: in the place of the entry with the same command, or at the end."""
    entries = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []
    for entry in map(kept, runs):
        commands = [other["command"] for other in entries]
        place = commands.index(entry["command"]) if entry["command"] in commands else len(entries)
        entries[place : place + 1] = [entry]
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(entries, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main(words: Sequence[str]) -> None:
    if len(words) > 2 and words[0] == "keep":
        keep(DOCS / "results" / f"{words[1]}.json", [Path(word) for word in words[2:]])
    elif words in (["pages"], ["pages", "--check"]):
        wanted = pages(DOCS)
        differ = [page for page, text in wanted.items() if page.read_text(encoding="utf-8") != text]
        if "--check" in words and differ:
            sys.exit(
                f"not as their results: {', '.join(map(str, differ))}; run  python tools/results.py pages"
            )
        for page in differ:
            page.write_text(wanted[page], encoding="utf-8")
            print(page)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
