"""Settings of the toys."""

from pathlib import Path
from typing import Any, Literal

from maskwright.params import params, setting, slot


@params
class Lines:
    """Texts with a number, from nowhere or from a file."""

    count: int = setting(4, ge=1, le=1000, help="items in each split")
    labels: bool = setting(True, help="whether items have a label")
    path: Path | None = setting(None, help="a text file instead, one item a line")

    def tags(self):
        return {"label"} if self.labels else set()

    def build(self):
        from toyplugin.parts import LineData

        return LineData(self.count, self.labels, self.path)

    @classmethod
    def example(cls):
        return cls()


@params
class Pairs:
    """Queries with documents."""

    count: int = setting(4, ge=1, help="items in each split")

    def build(self):
        from toyplugin.parts import PairData

        return PairData(self.count)


@params
class Counts:
    """Counts the words of the training texts."""

    smallest: int = setting(1, ge=1, help="rarer words are left out")

    def build(self):
        from toyplugin.parts import CountEncoder

        return CountEncoder(self.smallest)

    def check(self):
        if self.smallest == 13:
            yield "smallest", "13 brings bad luck"

    @classmethod
    def exports(cls):
        return {"toy-json": "toyplugin.parts:export_counts"}

    @classmethod
    def imports(cls):
        return {"toy-json": "toyplugin.parts:import_counts"}

    @classmethod
    def recognises(cls, format, path):
        return path.read_text(encoding="utf-8").startswith("{")


@params
class Hash:
    """One number for each text."""

    width: int = setting(2, ge=1, help="numbers for each text")

    def build(self, seed: int):
        from toyplugin.parts import HashEncoder

        return HashEncoder(self.width, seed)


@params
class Queue:
    """Remembers what it saw."""

    def build(self):
        from toyplugin.parts import HashEncoder

        return HashEncoder(1, 0)


@params
class Bare:
    """Has no tag at all."""

    answers: bool = setting(False, help="whether it reads queries and answers too")

    def reads(self):
        fields = ("answer", "query") if self.answers else ()
        return {field: f"use data with {field}, or answers = false" for field in fields}

    def build(self):
        from toyplugin.parts import HashEncoder

        return HashEncoder(1, 0)


@params
class Wrapped:
    """Another encoder, unchanged."""

    inner: Any = slot("encoder", default="toy-hash", inherit=True, help="the encoder inside")

    def build(self):
        return self.inner


@params
class Patches:
    """Hides patches."""

    def build(self):
        return "masker"


@params
class Loss:
    """A weight that moves towards the ratio."""

    encoder: Any = slot("encoder", default="toy-hash", needs={"pooled"}, help="what reads the texts")
    ratio: Any = slot("schedule", default=0.5, refuses={"per-row"}, help="where the weight goes")
    speed: float = setting(0.5, gt=0, le=1, help="share of the way that one step goes")
    kind: Literal["mean", "sum"] = setting("mean", help="how losses are put together")
    weights: list[float] = setting([1.0], help="a weight for each term", ge=0)
    limit: int | None = setting(None, ge=1, help="texts looked at")

    def build(self):
        from toyplugin.parts import Objective

        return Objective(self.encoder, self.ratio, self.speed)

    @classmethod
    def imports(cls):
        return {"toy-json": "toyplugin.parts:import_loss"}

    @classmethod
    def recognises(cls, format, path):
        return '"weight"' in path.read_text(encoding="utf-8")


@params
class Match:
    """Compares a query with a document."""

    encoder: Any = slot(
        "encoder", default="toy-hash", feeds={"text": ("query", "document")}, help="reads both"
    )

    def build(self):
        from toyplugin.parts import Objective

        return Objective(self.encoder, lambda progress: progress, 0.5)


@params
class Hide:
    """Hides units."""

    encoder: Any = slot("encoder", default="toy-hash", help="whose units are hidden")
    masker: Any = slot("masker", default="toy-patches", over="encoder", help="which units are hidden")

    def build(self):
        return "objective"


@params
class Pure:
    """Wants no memory anywhere below."""

    inner: Any = slot("objective", default="toy-loss", refuses={"stateful"}, inherit=True, help="inside")

    def build(self):
        return self.inner


@params
class Score:
    """Mean of a number for each text."""

    bonus: float = setting(0.0, help="added to each score")
    note: str = setting("", help="a sentence for the report")
    title: str = setting("scores", help="title of the table, names of file and figure")
    extra: Any = slot("dataset", optional=True, help="further texts")

    def build(self):
        from toyplugin.parts import ScoreEvaluator

        return ScoreEvaluator(self.bonus, self.note, self.title)


@params
class Vectors:
    """How many vectors a pipeline gave."""

    def build(self):
        from toyplugin.parts import VectorEvaluator

        return VectorEvaluator()


@params
class Embed:
    """Adds a vector to each text."""

    encoder: Any = slot("encoder", needs={"pooled"}, help="makes the vector")
    scale: float = setting(1.0, help="factor")

    def build(self):
        from toyplugin.parts import EmbedPipeline

        return EmbedPipeline(self.encoder, self.scale)


@params
class Shout:
    """Writes texts in capitals; reads and writes files of its own."""

    mark: str = setting("!", help="put at the end")

    def build(self):
        from toyplugin.parts import ShoutPipeline

        return ShoutPipeline(self.mark)


@params
class Train:
    """Some steps towards the ratio."""

    data: Any = slot("dataset", default="toy-lines", help="texts")
    objective: Any = slot("objective", default="toy-loss", help="what is trained")
    evaluators: Any = slot("evaluator", many=True, help="judge while and after training")
    steps: int = setting(3, ge=0, help="steps in all")
    every: int = setting(1, ge=1, help="steps between two checkpoints")
    pause: float = setting(0.0, ge=0, help="seconds that a step takes at least")
    offset: float = setting(0.0, help="added to the logged loss")
    values: dict[str, float] = setting({}, help="further values to log")

    @classmethod
    def restore_part(cls, run: Path, part: str, at: str, built: Any) -> None:
        from toyplugin.parts import restore_weight

        restore_weight(run, part, at, built)

    def build(self):
        from toyplugin.parts import TrainRecipe

        return TrainRecipe(self)

    @classmethod
    def example(cls):
        return cls()
