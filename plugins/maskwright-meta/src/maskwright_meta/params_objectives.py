"""Settings of the objective. Imports nothing heavy."""

from collections.abc import Iterator
from typing import Any, Literal

from maskwright.errors import UserError
from maskwright.params import is_params, params, setting, slot


def range_of(schedule: Any) -> tuple[float, float] | None:
    """Lowest and highest value of a schedule; None where they cannot be told yet."""
    try:
        built = schedule.build() if is_params(schedule) else schedule
    except UserError:
        return None  # building it for the run will say so
    return getattr(built, "range", None)


def whole(value: float) -> int:
    """The depth that a value stands for."""
    return int(value + 0.5)


def depth_mistakes(schedule: Any, deepest: int | None) -> Iterator[tuple[str, str]]:
    found = range_of(schedule)
    if found is None:
        return
    low, high = found
    if low < 0:
        yield "depth", f"a depth is 0 or more, found {low:g}"
    elif low == high and low != whole(low):
        yield "depth", f"a depth that stays is a whole number, found {low:g}"
    elif deepest is not None and whole(high) > deepest:
        yield "deepest", f"the depth reaches {high:g}, which deepest = {deepest} has no rows for"


@params
class Meta:
    """The loss after simulated fine-tuning on other batches; depth 0 is plain training on all tasks at once."""

    tasks: Any = slot(
        "objective",
        many=True,
        needs={"torch"},
        refuses={"stateful"},
        help='what is learned, by name (as = "…"); a shared encoder: { ref = "objective.tasks.NAME.encoder" }',
    )
    depth: Any = slot(
        "schedule", default=1.0, refuses={"per-row"}, help="inner steps before the loss; rounded; may grow"
    )
    deepest: int | None = setting(
        None, ge=0, help="inner steps that a batch has rows for; none: the schedule's highest value"
    )
    episodes: int = setting(1, ge=1, help="episodes of an update; it takes their mean")
    episode: Literal["same", "mixed", "held-out"] = setting(
        "mixed",
        help="same: one task in an episode; mixed: each chunk any task; held-out: the loss is of another task",
    )
    sampling: Literal["size-power", "uniform", "weighted", "round-robin"] = setting(
        "size-power", help="how likely a task is: by size^power, alike, by weights, in turn"
    )
    power: float = setting(0.75, ge=0, help="of sampling = size-power")
    weights: dict[str, float] = setting({}, help="of sampling = weighted: name of a task -> weight")
    replacement: bool = setting(False, help="an episode may take an item of a small task twice")

    order: Literal["second", "first", "reptile", "truncated"] = setting(
        "second",
        help="second: the exact gradient; first: as if Hessians were 0 (FOMAML); reptile: towards the weights after "
        "the inner steps; truncated: exact through the last `truncation` steps. Above 20 M weights: first",
    )
    truncation: int = setting(1, ge=0, help="of order = truncated; 0 is first")
    inner_rate: float = setting(1e-3, ge=0, help="learning rate of the inner steps")
    inner_rate_per: Literal["one", "layer", "parameter"] = setting(
        "one", help="with learn_rate: one rate, one for each layer's weights, or for each number (Meta-SGD)"
    )
    learn_rate: bool = setting(False, help="learn the inner rates with everything else")
    inner_optimiser: Literal["sgd", "momentum", "adam"] = setting(
        "sgd", help="its state begins empty in every episode"
    )
    inner_eval: bool = setting(False, help="no dropout in inner steps")
    adapted: Literal["all", "heads", "last-n"] = setting(
        "all", help="what inner steps change: all, what is no encoder, or that and its last layers"
    )
    last: int = setting(1, ge=1, help="layers of the encoder with adapted = last-n")
    heads: Literal["own", "prototypes"] = setting(
        "own",
        help="prototypes: a head of classes begins an episode as the means of its first chunk (ProtoMAML)",
    )
    recompute: bool = setting(
        False,
        help="keep one graph at a time and compute inner steps again on the way back: less memory, more time",
    )
    on_explosion: Literal["stop", "skip"] = setting(
        "stop", help="what to do when inner steps end in numbers that are none; skip: leave the episode out"
    )

    @classmethod
    def exports(cls):
        return {"heads": "maskwright_meta.exporting:to_heads"}

    def check(self) -> Iterator[tuple[str, str]]:
        if not self.tasks:
            yield "tasks", "name at least one objective"
        yield from depth_mistakes(self.depth, self.deepest)
        if self.weights and self.sampling != "weighted":
            yield "weights", f'sampling = "{self.sampling}" does not look at weights: sampling = "weighted"'
        for name, weight in self.weights.items():
            if weight < 0:
                yield "weights", f"the weight of {name} is below 0: {weight:g}"
        if self.inner_rate_per != "one" and not self.learn_rate:
            yield "inner_rate_per", "rates that are not learned are all the same: learn_rate = true"
        if self.learn_rate and self.order == "reptile":
            yield "learn_rate", "reptile gives rates no gradient: order = first"
        if self.recompute and (self.order in ("first", "reptile") or self._truncates_all()):
            yield "recompute", "no gradient goes back through an inner step, so none is computed again"
        if self.heads == "prototypes":
            if self._stays_at_zero():
                yield "heads", "prototypes are of the chunk of an inner step: depth = 1, or more"
            if self.episode != "same":
                yield "heads", 'prototypes are of one task: episode = "same"'
            if self.order == "reptile":
                yield "heads", "reptile follows weights, and prototypes are none: order = first"

    def _truncates_all(self) -> bool:
        return self.order == "truncated" and self.truncation == 0

    def _stays_at_zero(self) -> bool:
        found = range_of(self.depth)
        return found is not None and whole(found[1]) == 0

    def check_parts(self, tags):
        if "partial-gradient" in tags.get("tasks", ()):
            yield "tasks", "an objective:meta cannot be a task of another: give its tasks to the outer one"
        if self.order in ("second", "truncated") and "no-double-backward" in tags.get("tasks", ()):
            yield "order", f"{self.order} needs second derivatives, which a task does not have: order = first"

    def build(self, seed: int, names: dict[str, list[str]]):
        from maskwright_meta.layout import Layout
        from maskwright_meta.meta import Episodes
        from maskwright_meta.meta import Meta as Built
        from maskwright_meta.simulation import Adaptation
        from maskwright_meta.unroll import Inner
        from maskwright_torch.part import seeded

        deepest = self.deepest
        if deepest is None:
            deepest = whole((range_of(self.depth) or (0.0, 0.0))[1])
        episodes = Episodes(
            Layout(self.episodes, deepest),
            self.episode,
            self.sampling,
            self.power,
            self.weights,
            self.replacement,
        )
        inner = Inner(self.order, self.inner_optimiser, self.truncation, self.recompute)
        adaptation = Adaptation(
            self.inner_rate, self.inner_rate_per, self.learn_rate, self.adapted, self.last, self.inner_eval,
            self.heads == "prototypes", self.on_explosion,
        )  # fmt: skip
        tasks = dict(zip(names["tasks"], self.tasks, strict=True))
        return seeded(seed, lambda: Built(tasks, self.depth, episodes, inner, adaptation))

    @classmethod
    def example(cls):
        from maskwright_meta.params_encoders import BagOfWords
        from maskwright_torch.params_classify import Classify

        return cls(tasks=[Classify(encoder=BagOfWords.example(), classes=2, head_std=0.1)], depth=0.0)

    @classmethod
    def example_data(cls, make_data):
        from maskwright_meta.params_encoders import BagOfWords

        return BagOfWords.example_data(make_data)
