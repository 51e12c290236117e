"""recipe:joint-dag and recipe:joint-dag-groups: fits, the arms beside them, and what they are worth."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from maskwright.contracts import Figure, Findings
from maskwright.runs import Run
from maskwright.step import Step
from maskwright_causal import pictures
from maskwright_causal.arms import ArmFit, Use, fit_arm, unit_columns
from maskwright_causal.controls import sort_and_regress
from maskwright_causal.graph_metrics import THRESHOLD, compare
from maskwright_causal.order_dag import TaskTables, read_split
from maskwright_causal.sortability import r2_sortability, varsortability

FEWEST_ROWS = 4
"""Of a table, for fits on random halves of the rows."""

CONTROLS = (("sort-variance", "variance"), ("sort-r2", "r2"))
"""Sorting columns by a score and regressing along it: what no fit is needed for."""

COLUMNS = ("order_error", "shd", "tpr", "fdr", "fpr", "union_f1", "nnz")


def arrays_to_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def bytes_to_arrays(data: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def control_fit(name: str, tables: Sequence[np.ndarray], group: int = 0) -> ArmFit:
    """A sorting control, fitted to the same groups of tables as the arms."""
    by = dict(CONTROLS)[name]
    size = group or len(tables)
    found = [sort_and_regress(tables[i : i + size], by, "joint") for i in range(0, len(tables), size)]  # type: ignore[arg-type]
    return ArmFit(np.concatenate([f.coef for f in found]), np.concatenate([f.orders for f in found]))


def judge(fit: ArmFit, truth: np.ndarray, threshold: float, sid: bool = False) -> dict[str, float]:
    """Means over tasks of all metrics of one way of fitting."""
    return compare(fit.coef, fit.orders, truth, threshold=threshold, with_sid=sid).overall


class JointDagRecipe:
    """One fit with the table around it. Every stage ends in a checkpoint, so that a kill costs one stage."""

    def __init__(self, params: Any) -> None:
        self.params = params

    def run(self, run: Run) -> None:
        params, data = self.params, self.params.data
        settings = ["raw", "unit variance"] if params.unit_variance else ["raw"]
        stages = [(setting, use) for setting in settings for use in ("joint", *params.beside)]
        tables = read_split(data, "train", run.step())
        halves = min(map(len, tables.rows)) >= FEWEST_ROWS  # below, half of a table has no variances
        stages += [("raw", "stability")] if params.stability and halves else []
        run.progress.begin(len(stages) + 1, 0, "joint-dag")
        run.fit_parts(data)
        said = [*data.about("train").get("notices", ()), *getattr(params.model, "warnings", ())]
        if params.stability and not halves:
            said.append(f"no edge frequencies: the smallest table has fewer than {FEWEST_ROWS} rows")
        if tables.masks is not None and tables.masks.any() and "pooled" in params.beside:
            said.append("the pooled fit ignores which variables were set from outside")
        said = list(dict.fromkeys(said))
        for text in said:
            run.say(f"note: {text}")
        latest = run.latest()
        found = bytes_to_arrays(latest.read("fits.npz")) if latest is not None else {}
        for number, (setting, use) in enumerate(stages, start=1):
            run.progress.advance(number)
            if latest is not None and number <= latest.number:
                continue
            found |= self._stage(setting, use, tables)
            edges = {name: array for name, array in found.items() if name.endswith("coef")}
            newest = f"{setting}/{use}/coef"
            if newest in edges:
                count = float((edges[newest] != 0).sum() / len(edges[newest]))
                run.log(number, {f"edges/{setting}/{use}".replace(" ", "-"): count})
            run.checkpoint(number, {"fits.npz": arrays_to_bytes(found)})
        step = run.step(len(stages), len(stages) + 1)
        run.record("arms", self._findings(found, tables, settings, said), step.number)
        run.evaluate(params.evaluators, data, step)
        run.progress.advance(len(stages) + 1)

    def _stage(self, setting: str, use: str, tables: TaskTables) -> dict[str, np.ndarray]:
        model = self.params.model
        if use == "stability":
            found = model.model.stability(self.params.stability, X=tables.rows)
            return {"stability/union": found.union, "stability/ahead": found.ahead}
        if setting == "raw" and use == "joint":
            orders = np.stack([model.order_index_] * len(tables.rows))
            return {"raw/joint/coef": model.coef_, "raw/joint/orders": orders}
        scaled = tables if setting == "raw" else unit_columns(tables)
        fit = fit_arm(_as_use(use), model.make, scaled, model.masks(tables))
        return {f"{setting}/{use}/coef": fit.coef, f"{setting}/{use}/orders": fit.orders}

    def _findings(
        self,
        found: Mapping[str, np.ndarray],
        tables: TaskTables,
        settings: Sequence[str],
        said: Sequence[str],
    ) -> Findings:
        """joint / separate / pooled and the sorting controls, on the data as they are and with unit variances."""
        threshold = float(getattr(self.params.model, "settings", {}).get("threshold", THRESHOLD))
        rows: list[dict[str, Any]] = []
        values: dict[str, float] = {}
        for setting in settings:
            samples = (tables if setting == "raw" else unit_columns(tables)).rows
            fits = {
                use: ArmFit(found[f"{setting}/{use}/coef"], found[f"{setting}/{use}/orders"])
                for use in ("joint", *self.params.beside)
            }
            fits |= {name: control_fit(name, samples) for name, _ in CONTROLS}
            for use, fit in fits.items():
                row: dict[str, Any] = {"columns": setting, "method": use}
                if tables.truth is None:
                    row["edges"] = float((np.abs(fit.coef) >= threshold).sum() / len(fit.coef))
                else:
                    judged = judge(fit, tables.truth, threshold)
                    row |= {name: judged[name] for name in COLUMNS}
                rows.append(row)
                prefix = f"{setting}/{use}".replace(" ", "-")
                values |= {
                    f"{prefix}/{name}": float(row[name]) for name in row if name not in ("columns", "method")
                }
        notes = [
            "Means over tasks. sort-variance and sort-r2 sort the columns by a score and regress along it: a method "
            "that does not beat them has shown nothing about causes.",
            *said,
        ]
        return Findings(
            values, tables={_title(tables): rows}, figures=self._figures(found, tables), notes=notes
        )

    def _figures(self, found: Mapping[str, np.ndarray], tables: TaskTables) -> Any:
        def draw() -> list[Figure]:
            if "stability/union" not in found:
                return []
            truth = None if tables.truth is None else (tables.truth != 0).any(axis=0)
            order = self.params.model.order_index_
            return [pictures.frequencies_figure(found["stability/union"], order, tables.variables, truth)]

        return draw


def _as_use(word: str) -> Use:
    return word  # type: ignore[return-value]


def _title(tables: TaskTables) -> str:
    rows = sorted({len(table) for table in tables.rows})
    words = f"{rows[0]}" if len(rows) == 1 else f"{rows[0]} to {rows[-1]}"
    return f"{len(tables.rows)} tasks, {len(tables.variables)} variables, {words} rows each"


class GroupsRecipe:
    """Every task is fitted with its group and judged on its own edges; the controls see the same groups."""

    def __init__(self, params: Any) -> None:
        self.params = params

    def run(self, run: Run) -> None:
        params = self.params
        tables = read_split(params.data, "train", Step(run.seed))
        assert tables.truth is not None  # the data slot needs the field `truth`
        judged = slice(0, params.judge or len(tables.rows))
        threshold = float(params.model.settings["threshold"])
        masks = params.model.masks(tables)
        fits = {use: fit_arm(use, params.model.make, tables, masks, params.group) for use in params.methods}
        fits |= {name: control_fit(name, tables.rows, params.group) for name, _ in CONTROLS}
        pairs = list(zip(tables.rows, tables.truth != 0, strict=True))
        values = {
            "varsortability": float(np.nanmean([varsortability(rows, edges) for rows, edges in pairs])),
            "r2_sortability": float(np.nanmean([r2_sortability(rows, edges) for rows, edges in pairs])),
        }
        rows = []
        for name, fit in fits.items():
            found = judge(fit.restricted(judged), tables.truth[judged], threshold, params.sid)
            values |= {f"{name}/{metric}": value for metric, value in found.items()}
            rows.append({"method": name} | {column: found[column] for column in COLUMNS})
        notes = [
            f"Varsortability {values['varsortability']:.2f}, R2-sortability {values['r2_sortability']:.2f} "
            "(0.5: says nothing; 1: sorting gives a causal order)."
        ]
        run.record("arms", Findings(values, tables={_title(tables): rows}, notes=notes), 1)
