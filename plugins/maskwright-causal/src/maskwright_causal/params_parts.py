"""Settings of the evaluators and pipelines. Imports nothing heavy."""

from pathlib import Path
from typing import Any

from maskwright.params import params, setting, slot
from maskwright_causal.params_data import EXAMPLES, Tables

_TRANSFER = "maskwright_causal.transfer"
_TASK = "use this task's graph for every input; default: the task called like the file"
_TASKS = "names of the tasks in the order of the fit; default: those that the fit remembers, else task-00 ..."


@params
class GraphMetrics:
    """Compare with true graphs: SHD, TPR, FDR, order error, union support, SID, beside sorting controls."""

    threshold: float = setting(0.3, ge=0, help="smallest weight that counts as an edge, in units of the data")
    sid: bool = setting(True, help="structural intervention distance; grows with p squared")
    controls: bool = setting(True, help="add what sorting columns by variance or R2 achieves without any fit")

    def build(self):
        from maskwright_causal.evaluators import GraphEvaluator

        return GraphEvaluator(self.threshold, self.sid, self.controls)

    @classmethod
    def example(cls):
        return cls()

    @classmethod
    def example_case(cls):
        return cls(), GraphFile.example(), Tables(path=EXAMPLES / "tables", truth=EXAMPLES / "graphs.npz")

    @classmethod
    def perfect(cls):
        _, subject, data = cls.example_case()
        best = {"shd": 0, "tpr": 1, "fdr": 0, "fpr": 0, "order_error": 0, "order_error_union": 0, "sid": 0}
        return subject, data, best | {"union_precision": 1, "union_recall": 1, "union_f1": 1}


@params
class HeldOut:
    """Log-likelihood of rows that were held out: needs no true graph."""

    def build(self):
        from maskwright_causal.evaluators import HeldOutEvaluator

        return HeldOutEvaluator()

    @classmethod
    def example(cls):
        return cls()

    @classmethod
    def example_case(cls):
        return cls(), GraphFile.example(), Tables.example()


@params
class GraphFile:
    """Graphs from files, in place of a fit: exported ones, or those of another program."""

    path: Path | None = setting(
        None,
        help="coef.npz, one graph file, or a folder with one graph per task (GraphML, CSV, Tetrad); "
        "none: the copy that the run folder holds",
    )

    def build(self):
        from maskwright_causal.known_graphs import KnownGraphs

        return KnownGraphs() if self.path is None else KnownGraphs.read(self.path)

    @classmethod
    def exports(cls):
        return {name: f"{_TRANSFER}:to_{name}" for name in ("graphml", "gexf", "dot", "csv", "npz")}

    @classmethod
    def imports(cls):
        return dict.fromkeys(("graphml", "csv", "npz", "tetrad"), f"{_TRANSFER}:from_graphs")

    @classmethod
    def example(cls):
        return cls(path=EXAMPLES / "graphs.npz")


@params
class Residuals:
    """Estimate the noise of rows: what is left of each variable after its causes."""

    encoder: Any = slot("encoder", needs={"graphs"}, help="fitted graphs")
    task: str | None = setting(None, help=_TASK)
    tasks: list[str] | None = setting(None, help=_TASKS)

    def build(self):
        from maskwright_causal.pipelines import Residuals as Pipeline

        return Pipeline(self.encoder, self.task, self.tasks)

    @classmethod
    def example(cls):
        return cls(encoder=GraphFile.example())

    @classmethod
    def example_data(cls):
        return Tables.example()


@params
class Sample:
    """Draw new rows from the fitted model of a task."""

    encoder: Any = slot("encoder", needs={"graphs"}, help="fitted graphs")
    rows: int = setting(1000, ge=1, help="rows to draw for each task")
    task: str | None = setting(None, help=_TASK)
    tasks: list[str] | None = setting(None, help=_TASKS)

    def build(self):
        from maskwright_causal.pipelines import Draws

        return Draws(self.encoder, self.rows, task=self.task, tasks=self.tasks)

    @classmethod
    def example(cls):
        return cls(encoder=GraphFile.example(), rows=10)

    @classmethod
    def example_data(cls):
        return Tables.example()


@params
class Do:
    """Draw rows of a task with some variables set from outside (the do-operator)."""

    encoder: Any = slot("encoder", needs={"graphs"}, help="fitted graphs")
    values: dict[str, float] = setting(
        help="what to set, e.g. { pka = 0 }; edges into these variables are cut"
    )
    rows: int = setting(1000, ge=1, help="rows to draw for each task")
    task: str | None = setting(None, help=_TASK)
    tasks: list[str] | None = setting(None, help=_TASKS)

    def build(self):
        from maskwright_causal.pipelines import Draws

        return Draws(self.encoder, self.rows, self.values, self.task, self.tasks)

    @classmethod
    def example(cls):
        return cls(encoder=GraphFile.example(), values={"b": 0.0}, rows=10)

    @classmethod
    def example_data(cls):
        return Tables.example()
