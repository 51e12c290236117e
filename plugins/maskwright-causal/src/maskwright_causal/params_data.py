"""Settings of the data sets. Imports nothing heavy: numpy arrives when one is built."""

from pathlib import Path
from typing import Literal

from maskwright.params import params, setting

EXAMPLES = Path(__file__).with_name("example_tables")
"""Small generated tables and graphs in the layouts that can be read."""

_SCALES = (
    "none: as they are. columns: every column of every task to variance 1 (hides the order from "
    "equal-variance methods). pooled: each column divided by its pooled within-task deviation. "
    "total: each task to mean variance 1"
)
_NOISE = "noise variances, as in dataset:sem"
_EXPLAINED = "unit-variance: share of a variable's variance that its parents explain"
_LAW = "shape of the noise"
_HELD_OUT = "share of each task's rows kept for the test split"


@params
class Sem:
    """The paper's generator: K sparse linear models with one order, edges from one sparse union."""

    variables: int = setting(32, ge=2, help="number of variables p")
    tasks: int = setting(8, ge=1, help="number of tasks K in this data set")
    rows: int = setting(20, ge=2, help="training rows n of each task")
    test_rows: int = setting(200, ge=2, help="rows of each task in the test split")
    edges: int | None = setting(None, ge=1, help="edges s0 of each task; default p log2(p) / 4 (p = 32: 40)")
    union: int | None = setting(
        None, ge=1, help="edges s in the union of all tasks; default 3 s0 (p = 32: 120)"
    )
    degree: int | None = setting(
        None, ge=1, help="most edges of one variable in a task; default log2 p, rounded up"
    )
    degree_cap: Literal["out", "in"] = setting(
        "out", help="what degree bounds: children (the official code) or parents (its description)"
    )
    drawn: int = setting(32, ge=1, help="tasks drawn together; this data set is one group of them")
    group: int = setting(0, ge=0, help="which group of `tasks` drawn tasks")
    cover: bool = setting(True, help="draw again until the drawn tasks together use the whole union")
    noise: Literal["equal", "unequal", "unit-variance"] = setting(
        "equal",
        help="noise variances: all 1, or Uniform(0.5, 2), or such that each variable has variance 1 "
        "(then the order cannot be found from one Gaussian task)",
    )
    unit_variance_tasks: int = setting(
        0, ge=0, help="the first so many tasks have unit-variance noise instead"
    )
    explained: float = setting(0.6, gt=0, lt=1, help=_EXPLAINED)
    law: Literal["gaussian", "laplace", "uniform", "exponential"] = setting("gaussian", help=_LAW)
    scale: Literal["none", "columns", "pooled", "total"] = setting("none", help=_SCALES)

    def check(self):
        if self.unit_variance_tasks > self.tasks:
            yield "unit_variance_tasks", f"{self.unit_variance_tasks} of {self.tasks} tasks"
        if (self.group + 1) * self.tasks > self.drawn:
            yield (
                "drawn",
                f"group {self.group} of {self.tasks} tasks needs {(self.group + 1) * self.tasks} drawn tasks",
            )

    def build(self, seed: int):
        from maskwright_causal.data_sets import GeneratedTables, paper_models

        return GeneratedTables(lambda step: paper_models(self, step), self, seed)

    @classmethod
    def example(cls):
        return cls(variables=6, tasks=2, rows=20, test_rows=10, edges=4, union=8, cover=False)


@params
class ErdosRenyi:
    """Random graphs ERd: K tasks that share an order and a part of their edges."""

    variables: int = setting(20, ge=2, help="number of variables p")
    tasks: int = setting(8, ge=1, help="number of tasks K")
    rows: int = setting(50, ge=2, help="training rows n of each task")
    test_rows: int = setting(200, ge=2, help="rows of each task in the test split")
    degree: float = setting(2.0, gt=0, help="edges of the union for each variable, on average")
    share: float = setting(0.7, gt=0, le=1, help="share of the union's edges that each task has")
    noise: Literal["equal", "unequal", "unit-variance"] = setting("equal", help=_NOISE)
    explained: float = setting(0.6, gt=0, lt=1, help=_EXPLAINED)
    law: Literal["gaussian", "laplace", "uniform", "exponential"] = setting("gaussian", help=_LAW)
    scale: Literal["none", "columns", "pooled", "total"] = setting("none", help=_SCALES)

    def check(self):
        if self.degree > (self.variables - 1) / 2:
            yield (
                "degree",
                f"{self.variables} variables allow {(self.variables - 1) / 2:g} edges each at most",
            )

    def build(self, seed: int):
        from maskwright_causal.data_sets import GeneratedTables, erdos_renyi_models

        return GeneratedTables(lambda step: erdos_renyi_models(self, step), self, seed)

    @classmethod
    def example(cls):
        return cls(variables=6, tasks=2, rows=20, test_rows=10)


@params
class ScaleFree:
    """Random graphs SFd with hubs: K tasks that share an order and a part of their edges."""

    variables: int = setting(20, ge=2, help="number of variables p")
    tasks: int = setting(8, ge=1, help="number of tasks K")
    rows: int = setting(50, ge=2, help="training rows n of each task")
    test_rows: int = setting(200, ge=2, help="rows of each task in the test split")
    degree: int = setting(2, ge=1, help="edges of the union that each new variable brings")
    hubs: Literal["effects", "causes"] = setting(
        "effects", help="whether hubs have many parents or many children"
    )
    share: float = setting(0.7, gt=0, le=1, help="share of the union's edges that each task has")
    noise: Literal["equal", "unequal", "unit-variance"] = setting("equal", help=_NOISE)
    explained: float = setting(0.6, gt=0, lt=1, help=_EXPLAINED)
    law: Literal["gaussian", "laplace", "uniform", "exponential"] = setting("gaussian", help=_LAW)
    scale: Literal["none", "columns", "pooled", "total"] = setting("none", help=_SCALES)

    def check(self):
        if self.degree >= self.variables:
            yield "degree", f"must be below the number of variables, {self.variables}"

    def build(self, seed: int):
        from maskwright_causal.data_sets import GeneratedTables, scale_free_models

        return GeneratedTables(lambda step: scale_free_models(self, step), self, seed)

    @classmethod
    def example(cls):
        return cls(variables=6, tasks=2, rows=20, test_rows=10)


@params
class Tables:
    """Your own tables: a folder with one file per task, one long table with a task column, or one npz."""

    path: Path = setting(help="a folder of CSV/TSV/Parquet/npz/Tetrad files, or one such file")
    task_column: str | None = setting(
        None, help="one long table: the column that says which task a row belongs to"
    )
    truth: Path | None = setting(None, help="true graph: GraphML, Tetrad text, adjacency or edge CSV, or npz")
    columns: Literal["same", "common"] = setting(
        "same", help="same: all tasks must have the same columns. common: use those that all tasks have"
    )
    held_out: float = setting(0.0, ge=0, lt=1, help=_HELD_OUT)
    held_out_rows: Literal["random", "last"] = setting("random", help="which rows: take last for time series")
    scale: Literal["none", "columns", "pooled", "total"] = setting("none", help=_SCALES)

    def tags(self):
        return {"truth"} if self.truth is not None else set()

    def build(self, seed: int):
        from maskwright_causal.data_sets import tables_from

        return tables_from(self, seed)

    @classmethod
    def example(cls):
        return cls(path=EXAMPLES / "tables", held_out=0.25)


@params
class Sachs:
    """Protein signalling in T cells (Sachs 2005): 9 experimental conditions as tasks, interventions known."""

    path: Path = setting(
        help="the experimental file (11 proteins, 9 indicator columns), or the folder it lies in"
    )
    truth: Path | None = setting(
        None, help="true graph; default: sachs.2005.ground.truth.graph.txt beside the file, if there"
    )
    held_out: float = setting(0.0, ge=0, lt=1, help=_HELD_OUT)
    scale: Literal["none", "columns", "pooled", "total"] = setting("none", help=_SCALES)

    def tags(self):
        # Where the data themselves are not there yet (a recipe to be checked), their graph is not missed either.
        there = self.path.is_file() or any(self.path.glob("*experimental*.txt"))
        return {"intervened"} if there and self.truth_file() is None else {"intervened", "truth"}

    def truth_file(self) -> Path | None:
        """The true graph that was named, else the consensus graph (20 edges) where it lies beside the data."""
        folder = self.path if self.path.is_dir() else self.path.parent
        beside = folder / "sachs.2005.ground.truth.graph.txt"
        return self.truth or (beside if beside.exists() else None)

    def build(self, seed: int):
        from maskwright_causal.data_sets import sachs_from

        return sachs_from(self, seed)

    @classmethod
    def example(cls):
        return cls(path=EXAMPLES / "sachs")


@params
class Fmri9:
    """Brain regions in fMRI, one file per subject as a task: no truth, so judged by held-out likelihood."""

    path: Path = setting(
        help="the folder with one text file per subject, columns separated by tabs, commas or blanks"
    )
    drop: list[str] = setting(["I"], help="columns that are not brain regions (I is the stimulus)")
    held_out: float = setting(0.25, ge=0, lt=1, help=_HELD_OUT)
    held_out_rows: Literal["random", "last"] = setting(
        "last", help="which rows: scans follow each other in time"
    )
    scale: Literal["none", "columns", "pooled", "total"] = setting("none", help=_SCALES)

    def build(self, seed: int):
        from maskwright_causal.data_sets import fmri_from

        return fmri_from(self, seed)

    @classmethod
    def example(cls):
        return cls(path=EXAMPLES / "fmri")
