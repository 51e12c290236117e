"""Settings of the evaluators. Imports nothing heavy."""

from typing import Any, Literal

from maskwright.params import params, setting


def _tasks(make_data: Any) -> Any:
    """Tiny tasks for the contract checks."""
    from maskwright_meta.params_data import TopicMaps

    return TopicMaps.example().build()


@params
class AdaptationCurve:
    """Fine-tune on unseen tasks: shots × steps × seeds, with what it costs in gradient evaluations."""

    shots: list[int] = setting(
        [8], ge=0, help="labelled items of each class to learn from; 0: half of all items"
    )
    steps: list[int] = setting([1, 5, 20], ge=0, help="full-batch steps after which it is judged, rising")
    rate: float | Literal["learned"] = setting(
        0.1,
        help="learning rate of the steps; learned: the rates of a run with learn_rate, as its inner steps",
    )
    optimiser: Literal["sgd", "momentum", "adam"] = setting("sgd", help="of the steps")
    seeds: int = setting(1, ge=1, help="draws of the labelled items")
    head: Literal["own", "fresh", "prototypes"] = setting(
        "own",
        help="own: the objective's; fresh: a new one; prototypes: the class means of the labelled items",
    )
    most: int = setting(400, ge=0, help="items of a task to judge at most; 0: all")
    tasks: int = setting(0, ge=0, help="tasks to judge by, the first ones; 0: all")
    split: str = setting("test", help="split with the tasks; a data set without tasks is one")

    def check(self):
        if not self.shots:
            yield "shots", "name at least one number"
        if not self.steps or list(self.steps) != sorted(set(self.steps)):
            yield "steps", f"expected rising numbers, found {list(self.steps)}"
        if self.rate != "learned" and self.rate <= 0:
            yield "rate", f"must be > 0, found {self.rate:g}"
        if self.rate == "learned" and self.head != "own":
            yield "rate", 'learned rates are of the weights of the objective: head = "own"'

    def build(self):
        from maskwright_meta.adaptation_curve import AdaptationCurve as Built
        from maskwright_meta.adapting import Budget

        budget = Budget(list(self.steps), self.rate, self.optimiser)
        return Built(list(self.shots), budget, self.seeds, self.head, self.most, self.tasks, self.split)

    @classmethod
    def example(cls):
        return cls(shots=[1], steps=[0, 2])

    @classmethod
    def example_case(cls, make_data):
        from maskwright_meta.params_objectives import Meta

        return cls(shots=[1, 0], steps=[0, 2], head="prototypes"), Meta.example(), _tasks(make_data)


@params
class GradientCheck:
    """The meta-gradient against finite differences, first against second order, and memory for each depth."""

    rows: int = setting(2, ge=1, help="rows of a chunk")
    directions: int = setting(10, ge=1, help="random directions")
    epsilon: float = setting(1e-6, gt=0, help="length of the step along each number, in float64")
    split: str = setting("train", help="split that the batch is from")

    def build(self):
        from maskwright_meta.gradient_check import GradientCheck as Built

        return Built(self.rows, self.directions, self.epsilon, self.split)

    @classmethod
    def example(cls):
        return cls()

    @classmethod
    def example_case(cls, make_data):
        return cls(rows=2, directions=2), _deep(), _tasks(make_data)

    @classmethod
    def perfect(cls, make_data):
        still = _deep()
        still.inner_rate = 0.0
        return still, _tasks(make_data), {"first_to_second": 0.0, "cosine_first_second": 1.0}


@params
class GradientAgreement:
    """The cosine of the gradients of every two tasks, by the weights that they share."""

    rows: int = setting(64, ge=1, help="items of each task")
    tasks: int = setting(12, ge=0, help="tasks to compare, the first ones; 0: all")
    split: str = setting("train", help="split with the tasks")

    def build(self):
        from maskwright_meta.gradient_agreement import GradientAgreement as Built

        return Built(self.rows, self.tasks, self.split)

    @classmethod
    def example(cls):
        return cls()

    @classmethod
    def example_case(cls, make_data):
        return cls(rows=4), _deep(), _tasks(make_data)

    @classmethod
    def perfect(cls, make_data):
        item = {"text": "one two", "label": 0, "task": "a"}
        items = [{**item, "id": str(n), "task": "ab"[n // 2]} for n in range(4)]
        return _deep(), make_data({"train": items}, {"tasks": {"a": [0, 2], "b": [2, 2]}}), {"cosine": 1.0}


def _deep() -> Any:
    from maskwright_meta.params_objectives import Meta

    made = Meta.example()
    made.depth, made.episode = 2.0, "same"
    return made
