"""evaluator:reconstruction — how well hidden patches are predicted, in pixels between 0 and 1.

Beside it what needs no model: the mean colour of what is visible; and where the target is normalised, each patch's own
mean, which a model that predicts nothing but zeros gets for free, because brightness and contrast are put back from the
hidden original.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, ClassVar, Literal

import attrs
import torch
from torch import Tensor

from maskwright.contracts import Dataset, Figure, Findings, items_of
from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_torch.inference import ROWS_AT_ONCE, in_batches, in_use
from maskwright_torch.masking import choose, take
from maskwright_vision.drawing import Row, encoded, sheet, triptych
from maskwright_vision.patch_targets import Normalised
from maskwright_vision.pictures import patchify, unpatchify

WHERE = "evaluator:reconstruction"
SMALLEST_MSE = 1e-10
"""PSNR ends at 100 dB: an error that 8-bit pixels could not hold is none."""


@attrs.frozen
class Judged:
    """Squared errors of a batch: (B, R) for each hidden patch, by who predicted it."""

    model: Tensor
    visible_mean: Tensor
    own_mean: Tensor
    constant: Tensor
    """bool (B, R): patches of a single colour."""
    loss: float
    """The training loss of this batch, where it has a trivial value to compare with."""
    rows: list[Row]


class Reconstruction:
    """PSNR and squared error of hidden patches, and pictures of them."""

    metrics: ClassVar[Mapping[str, Literal["max", "min"]]] = {
        "psnr": "max",
        "mse": "min",
        "mse_not_constant": "min",
        "visible_mean_psnr": "max",
    }

    def __init__(self, ratio: Any, split: str, most: int, pictures: int) -> None:
        self.ratio, self.split, self.most, self.pictures = ratio, split, most, pictures

    def evaluate(self, subject: Any, data: Dataset, step: Step) -> Findings:
        refuse_what_cannot_fill(subject)
        items = list(islice(items_of(data, self.split, step), self.most or None))
        if not items:
            raise UserError(f'the split "{self.split}" is empty', where=WHERE, cure="another split")
        # As at the end of training; the same patches are hidden whenever one asks.
        step = Step(step.seed, 1, 1).fork("reconstruction")
        with in_use(subject):
            found = [
                self._judge(subject, piece, batch, step, number)
                for number, (piece, batch) in enumerate(in_batches(subject, subject.prepare, items, step))
            ]
        errors = {
            name: torch.cat([getattr(part, name) for part in found]).double()
            for name in ("model", "visible_mean", "own_mean")
        }
        varied = ~torch.cat([part.constant for part in found])
        mse = {name: float(error.mean()) for name, error in errors.items()}
        values = {
            "psnr": psnr(mse["model"]),
            "mse": mse["model"],
            # Where every patch has a single colour there is nothing else to predict.
            "mse_not_constant": float(errors["model"][varied].mean()) if bool(varied.any()) else mse["model"],
            "visible_mean_psnr": psnr(mse["visible_mean"]),
        }
        if not all(math.isfinite(value) for value in values.values()):
            raise UserError(
                "the model predicts pixels that are infinite or no numbers",
                where=WHERE,
                why="its weights are finite, what it computes from these pictures is not",
                cure="an earlier checkpoint: at = STEP of from-run",
            )
        rows = [
            {"id": str(item["id"]), "mse": error, "psnr": psnr(error)}
            for item, error in zip(items, errors["model"].mean(dim=1).tolist(), strict=True)
        ]
        hidden, count = errors["model"].shape[1], math.prod(subject.encoder.space.grid)
        tables = {
            f"{hidden} of {count} patches hidden in each of {len(items)} pictures": _predictors(mse, subject)
        }
        notes = list(_notes(values, mse, varied, subject))
        if is_normalised(subject):
            loss = sum(part.loss * len(part.model) for part in found) / len(items)
            tables["training loss"] = _losses(loss, subject.encoder.space.values)
        drawn = [row for part in found for row in part.rows]
        notice = notice_of(subject)
        return Findings(
            values=values,
            rows=rows,
            tables=tables,
            figures=lambda: [_figure(drawn, notice)],
            notes=notes,
        )

    def _judge(
        self,
        subject: Any,
        piece: Sequence[Mapping[str, Any]],
        batch: dict[str, Tensor],
        step: Step,
        number: int,
    ) -> Judged:
        encoder = subject.encoder
        ratio = subject.ratio if self.ratio is None else self.ratio
        hidden = choose(encoder, subject.masker, ratio, batch, step)
        _refuse_trivial(hidden)
        filled = subject.fill(batch, hidden, step)
        truth, made = (_in_pixels(encoder, patches) for patches in (encoder.targets(batch), filled.values))
        places, visible = (_places(mask) for mask in (hidden, ~hidden))
        truth_hidden, made_hidden = take(truth, places), take(made, places).clamp(0, 1)
        channels = encoder.prepare.channels
        seen = (
            take(truth, visible).unflatten(2, (-1, channels)).mean(dim=(1, 2))
        )  # (B, C): mean visible colour
        flat = seen.repeat(1, truth.shape[2] // channels)[:, None]
        by_pixel = truth_hidden.unflatten(2, (-1, channels))
        own = by_pixel.mean(dim=(2, 3), keepdim=True)
        return Judged(
            model=_square(made_hidden, truth_hidden),
            visible_mean=_square(flat, truth_hidden),
            own_mean=(by_pixel - own).square().mean(dim=(2, 3)).cpu(),
            constant=(by_pixel.amax(dim=2) == by_pixel.amin(dim=2)).all(dim=2).cpu(),
            loss=float(subject.loss(batch, hidden).value) if is_normalised(subject) else math.nan,
            rows=[
                triptych({**item, **subject.fields(item, batch, row, filled, hidden)}, encoder.prepare)
                for row, item in enumerate(piece)
                if number * ROWS_AT_ONCE + row < self.pictures
            ],
        )


def is_normalised(subject: Any) -> bool:
    """Whether brightness and contrast of filled patches are put back from the hidden original."""
    return isinstance(getattr(subject, "target", None), Normalised)


def notice_of(subject: Any) -> str:
    """What pictures made by this objective have to say about themselves."""
    return getattr(getattr(subject, "target", None), "notice", "")


def psnr(mse: float) -> float:
    """Peak signal to noise in dB, for pixels between 0 and 1."""
    return -10 * math.log10(max(mse, SMALLEST_MSE)) if math.isfinite(mse) else math.nan


def _in_pixels(encoder: Any, patches: Tensor) -> Tensor:
    """Normalised patches (B, N, P) as pixels between 0 and 1, for a model that sees normalised ones."""
    pictures = encoder.prepare.raw(unpatchify(patches, encoder.patch, encoder.grid))
    return patchify(pictures, encoder.patch)


def _places(mask: Tensor) -> Tensor:
    """int64 (B, R): where the mask is set; every row has as many."""
    return mask.nonzero()[:, 1].view(len(mask), -1)


def _square(made: Tensor, truth: Tensor) -> Tensor:
    return (made - truth).square().mean(dim=2).float().cpu()


def refuse_what_cannot_fill(subject: Any) -> None:
    """UserError for an encoder alone, for weights that are no numbers, and for a target that was never fitted."""
    if not hasattr(subject, "fill") or not hasattr(getattr(subject, "encoder", None), "patch"):
        raise UserError(
            f"{type(subject).__name__} has no decoder that fills hidden patches",
            where=WHERE,
            why="an encoder alone predicts no pixels",
            cure="judge the whole objective of an MAE run; of an encoder, linear-probe or knn",
        )
    bad = [name for name, p in subject.named_parameters() if not bool(p.isfinite().all())]
    if bad:
        raise UserError(
            f"{len(bad)} weights hold infinite or missing numbers",
            where=f"{WHERE}, {', '.join(bad[:3])}",
            cure="an earlier checkpoint: at = STEP of from-run",
        )
    tables = [t for name, t in subject.named_buffers() if name in ("target.basis", "target.centres")]
    if any(not bool(table.any()) for table in tables):
        raise UserError(
            "the target of this objective was never fitted",
            where=f"{WHERE}, target",
            why="its components or clusters are all zero",
            cure="take it from a run, which fits it before the first step",
        )


def _refuse_trivial(hidden: Tensor) -> None:
    counts = hidden.sum(dim=1)
    if bool((counts != counts[0]).any()):
        raise UserError(
            "pictures of one batch have different numbers of hidden patches",
            where=f"{WHERE}, ratio",
            cure="a ratio that is the same for all pictures, such as ratio=0.75",
        )
    if int(counts[0]) in (0, hidden.shape[1]):
        word = "no patch" if int(counts[0]) == 0 else "every patch"
        raise UserError(
            f"{word} of {hidden.shape[1]} is hidden, so there is nothing to judge",
            where=f"{WHERE}, ratio",
            cure="a ratio between 0 and 1 that hides one patch at least and leaves one",
        )


def _predictors(mse: Mapping[str, float], subject: Any) -> list[dict[str, Any]]:
    words = {"model": "this model", "visible_mean": "mean colour of the visible patches"}
    if is_normalised(subject):
        words["own_mean"] = "each hidden patch's own mean (what predicting zeros gives)"
    return [{"prediction": word, "mse": mse[name], "psnr": psnr(mse[name])} for name, word in words.items()]


def _losses(loss: float, values: int) -> list[dict[str, Any]]:
    return [
        {"prediction": "this model", "loss": loss},
        {"prediction": f"zeros: (P-1)/P with P = {values}", "loss": (values - 1) / values},
    ]


def _notes(
    values: Mapping[str, float], mse: Mapping[str, float], varied: Tensor, subject: Any
) -> Iterator[str]:
    if notice_of(subject):
        yield notice_of(subject)
    free = mse["own_mean"] if is_normalised(subject) else mse["visible_mean"]
    if values["mse"] >= free:
        yield "the model predicts no better than what needs no model: it has not learned to fill these pictures in"
    constant = int((~varied).sum())
    if constant:
        yield (
            f"{constant} of {varied.numel()} hidden patches have a single colour; mse_not_constant leaves them out"
        )


def _figure(rows: Sequence[Row], notice: str) -> Figure:
    """PNG of the first pictures."""
    caption = "Left to right: the picture as the model sees it, its hidden patches in grey, and filled in."
    if notice:
        caption += f" {notice[0].upper()}{notice[1:]}."
    return Figure("reconstructions", caption, encoded(sheet(rows, notice)), "image/png")
