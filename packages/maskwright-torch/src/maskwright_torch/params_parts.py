"""Settings of the modality-free masker and pipelines. Imports nothing heavy."""

from typing import Any, Literal

from maskwright.params import params, setting, slot


@params
class Random:
    """Every unit is as likely to be hidden as any other; the count is exact."""

    rounding: Literal["nearest", "upstream"] = setting(
        "nearest",
        help="nearest: floor(ratio * n + .5) hidden; upstream: int(n * (1 - ratio)) kept, as the official MAE",
    )

    def tags(self):
        return {"inexact-count"} if self.rounding == "upstream" else set()

    def build(self):
        from maskwright_torch.maskers import RandomMasker

        return RandomMasker(self.rounding)

    @classmethod
    def example(cls):
        return cls()


@params
class Embed:
    """One vector for each item, by any encoder that pools."""

    encoder: Any = slot("encoder", needs={"torch", "pooled"}, help="what encodes")
    batch: int = setting(64, ge=1, help="items at a time")

    def build(self):
        from maskwright_torch.pipelines import Embed as Built

        return Built(self.encoder, self.batch)


@params
class Fill:
    """Predict what is hidden, at once or in several passes that keep the surest predictions first."""

    objective: Any = slot(
        "objective", needs={"torch", "fills"}, help="what was trained to predict hidden units"
    )
    ratio: Any = slot("schedule", optional=True, help="share to hide; none: as in training, at its end")
    masker: Any = slot("masker", optional=True, help="what to hide; none: as in training")
    passes: int = setting(1, ge=1, help="more than one needs an objective that tells how sure it is")
    left: Any = slot(
        "schedule",
        default={"use": "cosine", "start": 1.0, "end": 0.0},
        refuses={"per-row"},
        help="share of the hidden units that is still hidden after a pass",
    )
    batch: int = setting(64, ge=1, help="items at a time")

    def build(self):
        from maskwright_torch.pipelines import Fill as Built

        return Built(self.objective, self.ratio, self.masker, self.passes, self.left, self.batch)
