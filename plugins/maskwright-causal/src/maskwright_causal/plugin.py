"""What this plugin brings. Imports nothing but maskwright."""

from maskwright import Component, hookimpl

MASKWRIGHT_API = 1

_PAPER = "arXiv:2111.02545"
_TABLE = frozenset({"id", "task", "samples", "variables"})
_DATA = "maskwright_causal.params_data"
_PARTS = "maskwright_causal.params_parts"
_FITS = "maskwright_causal.params_recipes"
_FILES = "maskwright_causal:recipes"
_EXPERIMENTS = {
    "a": "experiment: more tasks, better order",
    "b": "experiment: rows of other tasks count",
    "c": "experiment: tasks that cannot be identified alone",
    "d": "experiment: the union of all edges",
    "e": "experiment: standardised columns, the honesty arm",
}


@hookimpl
def maskwright_datasets():
    yield Component(
        "sem", f"{_DATA}:Sem", "generated: K linear models with one order and a sparse union of edges",
        provides=_TABLE | {"truth"}, paper=_PAPER,
    )  # fmt: skip
    yield Component(
        "erdos-renyi", f"{_DATA}:ErdosRenyi", "generated: K linear models on shared Erdos-Renyi edges",
        provides=_TABLE | {"truth"},
    )  # fmt: skip
    yield Component(
        "scale-free", f"{_DATA}:ScaleFree", "generated: K linear models on shared scale-free edges",
        provides=_TABLE | {"truth"},
    )  # fmt: skip
    yield Component(
        "tables", f"{_DATA}:Tables", "your tables: one per task, or one with a task column", provides=_TABLE
    )
    yield Component(
        "sachs", f"{_DATA}:Sachs", "protein signalling, 9 experimental conditions as tasks (by path)",
        provides=_TABLE, paper="Science 308:523",
    )  # fmt: skip
    yield Component(
        "fmri9", f"{_DATA}:Fmri9", "brain regions, one subject per task (by path)", provides=_TABLE
    )


@hookimpl
def maskwright_encoders():
    yield Component(
        "order-dag", f"{_FITS}:OrderDag", "K weighted acyclic graphs with one common order",
        provides={"graphs", "fitted"}, consumes=_TABLE, paper=_PAPER,
    )  # fmt: skip
    yield Component(
        "graph-file", f"{_PARTS}:GraphFile", "graphs read from files instead of fitted",
        provides={"graphs", "fitted"},
    )  # fmt: skip


@hookimpl
def maskwright_evaluators():
    yield Component(
        "graph", f"{_PARTS}:GraphMetrics", "compare graphs with true ones, beside sorting controls",
        consumes=_TABLE | {"truth"}, expects={"graphs"},
    )  # fmt: skip
    yield Component(
        "heldout", f"{_PARTS}:HeldOut", "log-likelihood of held-out rows", consumes=_TABLE, expects={"graphs"}
    )


@hookimpl
def maskwright_pipelines():
    yield Component(
        "residuals", f"{_PARTS}:Residuals", "noise estimates of rows",
        consumes={"samples", "task"}, provides={"residuals"},
    )  # fmt: skip
    yield Component("sample", f"{_PARTS}:Sample", "new rows of a task", consumes={"task"}, provides={"drawn"})
    yield Component(
        "do", f"{_PARTS}:Do", "new rows under an intervention", consumes={"task"}, provides={"drawn"}
    )


@hookimpl
def maskwright_recipes():
    yield Component(
        "joint-dag",
        f"{_FITS}:JointDag",
        "one joint fit, with separate and pooled fits beside it",
        paper=_PAPER,
    )
    yield Component(
        "joint-dag-groups",
        f"{_FITS}:JointDagGroups",
        "a pool of tasks fitted in groups; metrics only",
        paper=_PAPER,
    )
    for letter, summary in _EXPERIMENTS.items():
        yield Component(
            f"joint-dag-experiment-{letter}", f"{_FILES}/joint-dag-experiment-{letter}.toml", summary
        )
    yield Component(
        "joint-dag-tables", f"{_FILES}/joint-dag-tables.toml", "your own tables, one file per task"
    )
    yield Component("joint-dag-sachs", f"{_FILES}/joint-dag-sachs.toml", "protein signalling (by path)")
    yield Component(
        "joint-dag-fmri", f"{_FILES}/joint-dag-fmri.toml", "brain regions of nine subjects (by path)"
    )
