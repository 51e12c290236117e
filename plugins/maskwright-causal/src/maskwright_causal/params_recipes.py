"""Settings of the estimator and of the recipes that fit it. Imports nothing heavy."""

from pathlib import Path
from typing import Any, Literal

from maskwright.params import params, setting, slot

_RULE = Literal["theory", "bic", "ebic", "cv"]
_TRANSFER = "maskwright_causal.transfer"


@params
class OrderDag:
    """K weighted acyclic graphs with one common order (Chen et al., NeurIPS 2021)."""

    solver: Literal["topdown", "search", "topdown+search", "dp", "continuous", "convex"] = setting(
        "topdown", help="how the order is found; convex takes `order`, dp is exact up to 12 variables"
    )
    penalty: Literal["l1l2", "l1", "sparse-group"] = setting("l1l2", help="l1l2 ties an edge over the tasks")
    alpha: float | _RULE = setting(
        "theory", ge=0, help="strength of the penalty, or the rule that chooses it"
    )
    l1_ratio: float = setting(0.5, ge=0, le=1, help="share of l1 in sparse-group")
    threshold: float = setting(0.3, ge=0, help="smaller weights count as no edge")
    refit: Literal["none", "ols", "ridge"] = setting(
        "none", help="re-estimate the kept weights without penalty"
    )
    noise: Literal["equal", "unknown"] = setting(
        "equal", help="unknown: estimate noise variances and alternate"
    )
    task_weights: list[float] | Literal["equal", "rows"] = setting("equal", help="how much each task counts")
    order: list[str] | None = setting(None, help="variables, causes first; for solver convex")
    forbidden: list[list[str]] | None = setting(None, help="edges that must not be: [[cause, effect], ...]")
    required: list[list[str]] | None = setting(None, help="edges that are never penalised or dropped")
    tiers: list[list[str]] | None = setting(None, help="groups of variables, earlier ones first")
    knowledge: Path | None = setting(
        None, help="Tetrad knowledge file with forbidden and required edges and tiers"
    )
    backend: Literal["bcd", "cvxpy"] = setting(
        "bcd", help="who solves the convex step; cvxpy is slow, for checking"
    )
    n_jobs: int | None = setting(None, help="processes for restarts and stability; none: one")
    restarts: int = setting(0, ge=0, help="restarts of the search from disturbed orders")
    cv: int = setting(5, ge=2, help="folds of alpha = cv")
    use_interventions: bool = setting(True, help="drop the equations of variables that were set from outside")

    def check(self):
        if (self.solver == "convex") != (self.order is not None):
            yield "order", "give an order with solver = convex, and only then"
        if self.knowledge is not None and (self.forbidden or self.required or self.tiers):
            yield "knowledge", "give a knowledge file, or forbidden, required and tiers, not both"

    def build(self, seed: int):
        from maskwright_causal.order_dag import OrderDag as Built
        from maskwright_causal.tetrad import read_knowledge_file

        known = None if self.knowledge is None else read_knowledge_file(self.knowledge)
        names = "solver penalty alpha l1_ratio threshold refit noise task_weights order forbidden required"
        names = f"{names} tiers restarts cv backend n_jobs"
        settings = {name: getattr(self, name) for name in names.split()}
        return Built({**settings, "random_state": seed % 2**31}, self.use_interventions, known)

    @classmethod
    def exports(cls):
        return {name: f"{_TRANSFER}:to_{name}" for name in ("graphml", "gexf", "dot", "csv", "npz")}

    @classmethod
    def example(cls):
        return cls()

    @classmethod
    def example_data(cls):
        from maskwright_causal.params_data import Sem

        return Sem.example()


_DATA = {"use": "sem", "variables": 12, "tasks": 6, "rows": 20}


@params
class JointDag:
    """Fit K graphs with one order, and the separate and pooled fits beside it."""

    data: Any = slot("dataset", default=_DATA, needs={"samples"}, help="K tables with the same columns")
    model: Any = slot("encoder", default="order-dag", needs={"graphs", "fitted"}, help="what is fitted")
    beside: list[Literal["separate", "pooled"]] = setting(
        ["separate", "pooled"], help="other ways to fit, for the table"
    )
    unit_variance: bool = setting(
        True, help="repeat the table on columns scaled to variance 1, where variances tell no order"
    )
    stability: int = setting(
        20, ge=0, help="fits on random halves of the rows, for edge frequencies; 0: none"
    )
    evaluators: Any = slot(
        "evaluator",
        many=True,
        default=[{"use": "graph"}, {"use": "heldout"}],
        help="what to find out about the fit",
    )

    default_pipeline = "residuals"

    def build(self):
        from maskwright_causal.joint_recipes import JointDagRecipe

        return JointDagRecipe(self)

    @classmethod
    def example(cls):
        data = {"use": "sem", "variables": 6, "tasks": 3, "rows": 20, "test_rows": 10}
        return cls(data=data, stability=4)


@params
class JointDagGroups:
    """Fit a pool of tasks in groups of a given size; metrics only. What the experiments compare."""

    data: Any = slot("dataset", default=_DATA, needs={"samples", "truth"}, help="the pool of tasks")
    model: Any = slot("encoder", default="order-dag", needs={"graphs"}, help="settings of every fit")
    group: int = setting(0, ge=0, help="tasks in one fit; 0: all, 1: each alone")
    methods: list[Literal["joint", "pooled"]] = setting(["joint", "pooled"], help="ways to fit each group")
    judge: int = setting(0, ge=0, help="judge only the first so many tasks; 0: all")
    sid: bool = setting(False, help="structural intervention distance too")

    def build(self):
        from maskwright_causal.joint_recipes import GroupsRecipe

        return GroupsRecipe(self)

    @classmethod
    def example(cls):
        return cls(data={"use": "sem", "variables": 6, "tasks": 4, "rows": 20, "test_rows": 10}, group=2)
