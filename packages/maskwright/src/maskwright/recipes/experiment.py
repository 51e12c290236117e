"""recipe:experiment: arms × seeds as child runs, compared in pairs."""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from maskwright.api import LoadedRun, load, resume, start
from maskwright.charts import Series, line_chart, short_names
from maskwright.contracts import Figure, Findings
from maskwright.errors import UserError
from maskwright.folder import RunBusy
from maskwright.planner import is_entry_name
from maskwright.planning import Plan, plan
from maskwright.recipes.claims import Claim, chosen_metrics, lines_of, read_claim
from maskwright.runs import Run
from maskwright.statistics import mean, paired_interval, spread
from maskwright.tree import Node, to_json
from maskwright.values import show

CHILDREN = "children"
"""Folder of the child runs: children/ARM/seed-N."""

ORPHAN_PATIENCE = 600.0
"""Seconds to wait for a worker that outlived a killed parent and still writes its child run."""

Values = Mapping[tuple[str, int], Mapping[str, float]]
"""(arm, seed) -> last value of each metric."""


def plan_arm(base: Node | None, name: str, arm: Any, seed: int = 0) -> Plan:
    """The plan of one arm: the base recipe, or a file of its own, with the arm's settings."""
    if not is_entry_name(name):
        raise UserError(f'"{name}" is no name for an arm', cure="use a-z, A-Z, 0-9, - and _")
    if not isinstance(arm, Mapping) or not arm.keys() <= {"set", "file", "recipe"}:
        raise UserError(f'arm "{name}": expected {{ set = {{ … }}, file = "…" }}, found {show(arm)}')
    changes, file = arm.get("set", {}), arm.get("file")
    own = file is not None or "recipe" in arm
    if not isinstance(changes, Mapping):
        raise UserError(f'arm "{name}": set must be a table, found {show(changes)}')
    if not own and base is None:
        raise UserError(f'arm "{name}" has no recipe', cure="give the experiment a base, or the arm a file")
    if file is not None and not isinstance(file, str):
        raise UserError(f'arm "{name}": file must be text, found {show(file)}')
    source = arm.get("recipe", file)  # `recipe` is what the planner makes of a file
    return plan(source if source is not None else to_json(base), _flat(changes), seed=seed)  # type: ignore[arg-type]


def _flat(changes: Mapping[str, Any]) -> dict[str, Any]:
    """`{ data = { tasks = 4 } }` (what TOML makes of a bare `data.tasks = 4`) as `{"data.tasks": 4}`."""
    flat: dict[str, Any] = {}
    for key, value in changes.items():
        if isinstance(value, Mapping) and not {"use", "ref"} & value.keys():
            flat |= {f"{key}.{inner}": entry for inner, entry in _flat(value).items()}
        else:
            flat[key] = value
    return flat


def run_child(made: Plan, folder: Path, pictures: bool = False, accept_drift: bool = False) -> LoadedRun:
    """Run a plan in `folder`, go on where it stopped, or leave it when finished. Errors name the child run."""
    try:
        return _run_child(made, folder, pictures, accept_drift)
    except UserError as error:
        error.where = (
            f"{error.where}, in the child run {folder}" if error.where else f"the child run {folder}"
        )
        raise
    except Exception as error:
        error.add_note(f"in the child run {folder}")
        raise


def _run_child(made: Plan, folder: Path, pictures: bool, accept_drift: bool) -> LoadedRun:
    patience = time.monotonic() + ORPHAN_PATIENCE
    while True:
        try:
            if not (folder / "resolved.json").is_file():
                return start(made, folder, pictures=pictures)
            existing = load(folder)
            if existing.resolved != made.resolved():
                raise UserError(
                    f"{folder} holds a run with other settings",
                    why="the recipe was changed since",
                    cure="start anew in another folder with --out",
                )
            return resume(folder, pictures=pictures, accept_drift=accept_drift)
        except RunBusy:
            if time.monotonic() > patience:
                raise
            time.sleep(0.2)


class ExperimentRecipe:
    """Children are run folders, so that a stopped experiment goes on where it was."""

    def __init__(self, params: Any) -> None:
        self.params = params

    def run(self, run: Run) -> None:
        params = self.params
        jobs = [(arm, seed) for seed in params.seeds for arm in params.arms]
        plans = {(arm, seed): plan_arm(params.base, arm, params.arms[arm], seed) for arm, seed in jobs}
        run.progress.begin(len(jobs), 0, "child runs")
        children: dict[tuple[str, int], LoadedRun] = {}
        for done, (job, child) in enumerate(self._children(run, jobs, plans), start=1):
            children[job] = child
            run.progress.advance(done)
        values: Values = {job: _numbers(children[job].last_metrics()) for job in jobs}
        self._report(run, values, children)

    def _children(
        self, run: Run, jobs: list[tuple[str, int]], plans: Mapping[tuple[str, int], Plan]
    ) -> Iterator[tuple[tuple[str, int], LoadedRun]]:
        folders = {(arm, seed): run.folder / CHILDREN / arm / f"seed-{seed}" for arm, seed in jobs}
        if self.params.workers == 1:
            for job in jobs:
                yield job, run_child(plans[job], folders[job], accept_drift=run.accept_drift)
            return
        from joblib import Parallel, delayed, parallel_config

        raws = {job: plans[job].resolved() for job in jobs}
        # Chains take stages from the first arm, which has to be there whole, whatever is faster.
        chains = any(made.require().reference.startswith("recipe:chain") for made in plans.values())
        first = jobs[0][0]
        turns = [[job for job in jobs if (job[0] == first) == leads] for leads in (True, False)]
        with parallel_config("loky", inner_max_num_threads=1):
            work = Parallel(n_jobs=self.params.workers, return_as="generator")
            for turn in turns if chains else [jobs]:
                made = work(
                    delayed(_child_in_worker)(raws[job], folders[job], run.accept_drift) for job in turn
                )
                for job, _ in zip(turn, made, strict=True):
                    yield job, LoadedRun(folders[job])

    def _report(self, run: Run, values: Values, children: Mapping[tuple[str, int], LoadedRun]) -> None:
        params = self.params
        arms, seeds = list(params.arms), params.seeds
        names = list(dict.fromkeys(name for logged in values.values() for name in logged))
        shown = chosen_metrics(names, params.metrics)
        claims = [read_claim(raw, arms) for raw in params.claims]
        verdicts = [self._verdict(claim, values, children, names) for claim in claims]
        tables = {}
        if verdicts:
            tables["Claims"] = verdicts
        for name in shown:
            tables[name] = self._table(name, values)
        summary = {
            f"{arm}/{name}": mean(found)
            for arm in arms
            for name in shown
            if (found := [values[arm, seed][name] for seed in seeds if name in values[arm, seed]])
        }
        notes = [
            f"{len(arms)} arms × {len(seeds)} seeds ({', '.join(map(str, seeds))}); spread is the sample deviation"
        ]
        figures = self._figures(values) if params.curve else None
        run.record("experiment", Findings(summary, tables=tables, notes=notes, figures=figures), len(values))

    def _table(self, name: str, values: Values) -> list[dict[str, Any]]:
        """Mean and spread of each arm, and the paired difference to the control arm."""
        params = self.params
        control = params.control or next(iter(params.arms))
        rows = []
        for arm in params.arms:
            found = [values[arm, seed][name] for seed in params.seeds if name in values[arm, seed]]
            row: dict[str, Any] = {
                "arm": arm,
                "mean": mean(found) if found else None,
                "spread": spread(found),
            }
            row["seeds"] = len(found)
            both = [s for s in params.seeds if name in values[arm, s] and name in values[control, s]]
            if arm != control and both:
                interval = paired_interval([values[arm, s][name] - values[control, s][name] for s in both])
                row |= {
                    f"minus {control}": interval.mean,
                    "95 % low": interval.low,
                    "95 % high": interval.high,
                }
            rows.append(row)
        return rows

    def _verdict(
        self, claim: Claim, values: Values, children: Mapping[tuple[str, int], LoadedRun], names: list[str]
    ) -> dict[str, Any]:
        if self.params.pair_by == "item":
            gains, missing, names = _gains_by_item(claim, self.params.seeds, children)
        else:
            gains, missing = self._gains(claim, values)
        verdict = claim.judge(gains, len(self.params.seeds), missing, names)
        interval = verdict.interval
        row = {
            "claim": claim.words(),
            "gain": None if interval is None else interval.mean,
            "95 % low": None if interval is None else interval.low,
            "95 % high": None if interval is None else interval.high,
            "margin": claim.margin,
            "pairs": len(gains),
            "verdict": verdict.word,
        }
        return row | ({"note": verdict.note} if verdict.note else {})

    def _gains(self, claim: Claim, values: Values) -> tuple[list[float], str]:
        """One gain for each seed, and which seeds have none (nothing logged, or not a finite number)."""
        gains, missing = [], []
        for seed in self.params.seeds:
            arm = values[claim.arm, seed].get(claim.metric)
            control = values[claim.control, seed].get(claim.metric) if claim.control else 0.0
            if arm is None or control is None:
                missing.append(seed)
            else:
                gains.append(claim.gain(arm, control))
        return gains, f"no value for seeds {', '.join(map(str, missing))}" if missing else ""

    def _figures(self, values: Values) -> Any:
        """Means over the arms' places, a picture for each entry of `curve.metrics`; a list in there shares one."""
        curve = self.params.curve
        names = list(dict.fromkeys(name for logged in values.values() for name in logged))

        def draw() -> list[Figure]:
            drawn = []
            for number, entry in enumerate(curve.get("metrics", []), start=1):
                patterns = entry if isinstance(entry, list) else [entry]
                found = chosen_metrics(names, patterns)
                title, labels = short_names(found)
                lines = [
                    Series(_label(label, line, len(found)), self._points(n, places, values))
                    for label, n in zip(labels, found, strict=True)
                    for line, places in lines_of(curve).items()
                ]
                svg = line_chart(lines, curve.get("label", ""), title)
                caption = f"{title}: mean over {len(self.params.seeds)} seeds, band = one sample deviation"
                drawn.append(Figure(f"curve-{number}-{title}", caption, svg.encode()))
            return drawn

        return draw

    def _points(
        self, name: str, places: Mapping[str, float], values: Values
    ) -> list[tuple[float, float, float]]:
        points = []
        for arm, place in sorted(places.items(), key=lambda pair: pair[1]):
            found = [values[arm, seed][name] for seed in self.params.seeds if name in values[arm, seed]]
            if found:
                points.append((float(place), mean(found), spread(found)))
        return points


def _label(metric: str, line: str, metrics: int) -> str:
    """Of a line in a picture: what tells it from the others."""
    return metric if not line else line if metrics == 1 else f"{metric} {line}"


def _child_in_worker(raw: dict[str, Any], folder: Path, accept_drift: bool) -> None:
    run_child(plan(raw), folder, accept_drift=accept_drift)


def _numbers(values: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in values.items() if value is not None}


def _gains_by_item(
    claim: Claim, seeds: list[int], children: Mapping[tuple[str, int], LoadedRun]
) -> tuple[list[float], str, list[str]]:
    """One gain for each item, averaged over seeds: `metric` is `evaluator/column`, rows are matched by id.

    With it: which items are missing on one side, and the columns there are.
    """
    per_item: dict[str, list[float]] = {}
    unpaired = 0
    columns: list[str] = []
    for seed in seeds:
        arm, known = _item_values(children[claim.arm, seed], claim.metric)
        columns += known
        control = dict.fromkeys(arm, 0.0)
        if claim.control:
            control, _ = _item_values(children[claim.control, seed], claim.metric)
        unpaired += len(arm.keys() ^ control.keys())
        for item in arm.keys() & control.keys():
            per_item.setdefault(item, []).append(claim.gain(arm[item], control[item]))
    gains = [mean(per_item[item]) for item in sorted(per_item)]
    missing = f"{unpaired} items have no partner in the other arm" if unpaired else ""
    return gains, missing, list(dict.fromkeys(columns))


def _item_values(child: LoadedRun, metric: str) -> tuple[dict[str, float], list[str]]:
    """Item id -> value of a column of the last findings of an evaluator, and the names of all such columns."""
    evaluator, _, column = metric.partition("/")
    last = {record["name"]: record["rows"] for record in child.findings()}
    known = [
        f"{name}/{key}"
        for name, rows in last.items()
        for row in rows[:1]
        for key in row
        if is_number(row[key])
    ]
    rows = last.get(evaluator, [])
    return {str(row.get("id")): float(row[column]) for row in rows if is_number(row.get(column))}, known


def is_number(value: Any) -> bool:
    return isinstance(value, int | float)
