"""objective:seq2seq — fine-tune any encoder as a writer, of a target from a source (s2s-ft, arXiv:2110.13640).

Modes: v2 predicts every target token at a pseudo mask of its own (UniLMv2); v1 masks a share of the target and predicts
only that (UniLM); v0 predicts the next token, as causal language models do. `B` rows, `S` source tokens, `T` target
tokens, `n` target tokens with a loss, `V` vocabulary.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs
import torch
from torch import Tensor

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_text.choosing import Rules
from maskwright_text.decoding import decode
from maskwright_text.decoding_settings import Decoding
from maskwright_text.mlm import packed
from maskwright_text.seq2seq_batches import (
    Layout,
    OnLong,
    PairPrepare,
    SourcePrepare,
    in_place,
    pseudo_masks,
)
from maskwright_text.usual_tokens import UsualTokens
from maskwright_text.writers import log_softmax
from maskwright_torch.contracts import ROWS, Batch, Generated, Loss
from maskwright_torch.inference import in_batches, in_use
from maskwright_torch.masking import hide_lowest
from maskwright_torch.noise import uniform
from maskwright_torch.part import Part, inside

Mode = Literal["v2", "v1", "v0"]
Item = Mapping[str, Any]

SHORTEST_SOURCE = 3
"""[CLS], a token, [SEP]."""


@attrs.frozen
class TargetNoise:
    """What stands in place of target tokens in training."""

    drop: float = 0.5
    """v2, v0: chance that later tokens read a mask where a target token was; v1: share of the target that is masked."""
    keep: float = 0.0
    """Chance that a pseudo mask is the token that it has to predict; the official code has 0.1."""
    random: float = 0.0
    """Chance that it is any token; the official code has 0.1."""
    most: int = 0
    """v1: tokens that are masked in a target at most; 0: no limit."""


class Seq2Seq(Part):
    """An encoder, new or of a pre-trained objective, and a head over its vocabulary."""

    def __init__(
        self,
        encoder: Any = None,
        pretrained: Any = None,
        *,
        mode: Mode = "v2",
        target_length: int = 48,
        noise: TargetNoise | None = None,
        label_smoothing: float = 0.1,
        on_long: OnLong = "cut",
    ) -> None:
        super().__init__()
        if pretrained is not None:
            _refuse_foreign(pretrained)
        self.pretrained = pretrained
        self.encoder = encoder if pretrained is None else pretrained.encoder
        self.head = self.encoder.make_head() if pretrained is None else pretrained.head
        self.mode, self.label_smoothing, self.noise = mode, label_smoothing, noise or TargetNoise()
        self.target_length = target_length
        self.source_length = self.encoder.space.grid[0] - target_length
        if self.source_length < SHORTEST_SOURCE:
            raise UserError(
                f"targets of {target_length} tokens leave {self.source_length} of the encoder's "
                f"{self.encoder.space.grid[0]} positions for the source",
                where="objective:seq2seq, setting target_length",
                cure="a smaller target_length, or a greater length of the encoder",
            )
        codec = self.encoder.codec
        # Whoever writes decides anew what happens to long texts.
        self.sources = SourcePrepare(codec, self.source_length)
        self.prepare = PairPrepare(codec, self.source_length, target_length, on_long)
        self.usual = UsualTokens(self.encoder.space, codec)

    def adapt(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weights of the same objective over an encoder of another length, which a pre-trained objective has, too."""
        for name in ("pretrained", "encoder"):
            part = getattr(self, name)
            if hasattr(part, "adapt"):
                fitting = part.adapt(inside(state, name))
                state |= {f"{name}.{inner}": tensor for inner, tensor in fitting.items()}
        return state

    # -- training --------------------------------------------------------------------------------------------

    def forward(self, batch: Batch, step: Step) -> Loss:
        layout, wanted = self.layout(batch, step)
        truth = batch["target"][wanted]
        log_probs = self.log_probs(layout, wanted)
        losses = smoothed(log_probs, truth, self.label_smoothing, self.encoder.codec.specials.pad)
        with torch.no_grad():
            plain = -log_probs.gather(1, truth[:, None])[:, 0]
            hits = (log_probs.argmax(dim=1) == truth).to(plain.dtype)
            parts = {
                "nll": _mean_of_rows(plain, wanted),
                "accuracy": _mean_of_rows(hits, wanted),
                "source_cut_tokens": batch["cut"].double().mean(),
                "target_cut_tokens": batch["target_cut"].double().mean(),
            }
        return Loss.of(losses.sum(), losses.new_tensor(float(len(losses))), parts)

    def layout(self, batch: Batch, step: Step) -> tuple[Layout, Tensor]:
        """The pass of a training step; bool (B, T), target tokens that have a loss."""
        target, real = batch["target"], batch["target_real"]
        step = step.fork("target")
        dropped = self._draws(batch, step, "drop") < self.noise.drop
        mask = self.encoder.space.mask_id
        if self.mode == "v0":
            return in_place(batch, self._shifted(torch.where(dropped, mask, target))), real
        pseudo = self._pseudo(batch, step)
        if self.mode == "v2":
            return pseudo_masks(batch, torch.where(dropped, pseudo, target), pseudo), real
        share = (self.noise.drop * real.sum(dim=1)).long().clamp(min=1, max=self.noise.most or None)
        masked = hide_lowest(self._draws(batch, step, "drop"), real, share)
        return in_place(batch, torch.where(masked, pseudo, target)), masked

    def log_probs(self, layout: Layout, wanted: Tensor) -> Tensor:
        """(n, V) log-probabilities at `wanted`, bool (B, T), in rising order row by row; nothing else is computed."""
        places, real = packed(wanted)
        states = self.encoder.attended(
            layout.tokens,
            layout.position,
            layout.attend,
            segment=layout.segment,
            context=layout.context,
            index=layout.index.gather(1, places),
        )
        return log_softmax(self.head(states[real], self.encoder.table))

    def _pseudo(self, batch: Batch, step: Step) -> Tensor:
        """int64 (B, T): the mask token, or with their chances the target token itself or any other."""
        target = batch["target"]
        made = torch.full_like(target, self.encoder.space.mask_id)
        if self.noise.keep or self.noise.random:
            draw = self._draws(batch, step, "how")
            usual = self.usual()
            any_token = usual[(self._draws(batch, step, "token") * len(usual)).long()]
            made = torch.where(draw < self.noise.random + self.noise.keep, any_token, made)
            made = torch.where(draw < self.noise.keep, target, made)
        return made

    def _draws(self, batch: Batch, step: Step, name: str) -> Tensor:
        """float64 (B, T)"""
        return uniform(step.stream(name), batch[ROWS], batch["target"].shape[1])

    def _shifted(self, target: Tensor) -> Tensor:
        """[SEP] first, and the last one left out: each place predicts the token that follows."""
        start = torch.full_like(target[:, :1], self.encoder.codec.specials.sep)
        return torch.cat([start, target[:, :-1]], dim=1)

    # -- the capability `generates` ------------------------------------------------------------------------------

    def generate(
        self, items: Sequence[Item], step: Step, decoding: Decoding | None = None
    ) -> list[list[Generated]]:
        """For each item what is written from its text, the best first.

        Items whose texts are of like length are written for together, so that little of a batch is padding; the longest
        come first, where memory runs out at once if it does.
        """
        decoding, codec = decoding or Decoding(), self.encoder.codec
        rules = Rules(self.encoder, decoding)
        lengths = self.sources.whole_lengths(items)
        order = sorted(range(len(items)), key=lambda place: -lengths[place])
        found: list[list[Generated]] = []
        with in_use(self):
            sources = (items[place] for place in order)
            for _, batch in in_batches(self, self.sources, sources, step, decoding.rows):
                written = decode(self, batch, decoding, step, rules)
                for texts, cut in zip(written, batch["cut"].tolist(), strict=True):
                    found.append([Generated(codec.decode(t.tokens), t.complete, t.score, cut) for t in texts])
        placed = dict(zip(order, found, strict=True))
        return [placed[place] for place in range(len(items))]

    def target_losses(self, items: Sequence[Item], step: Step) -> list[Tensor]:
        """For each item (T,): minus the log-probability of each target token, given the source and those before."""
        found: list[Tensor] = []
        with in_use(self):
            for _, batch in in_batches(self, self.prepare, items, step):
                target, real = batch["target"], batch["target_real"]
                if self.mode == "v0":
                    layout = in_place(batch, self._shifted(target))
                else:
                    masks = torch.full_like(target, self.encoder.space.mask_id)
                    layout = pseudo_masks(batch, target, masks)
                log_probs = self.log_probs(layout, real).gather(1, target[real][:, None])[:, 0]
                found += (-log_probs).split(real.sum(dim=1).tolist())
        return found


def smoothed(log_probs: Tensor, truth: Tensor, smoothing: float, pad: int) -> Tensor:
    """(n,): cross entropy with the target of which a share is spread over all tokens but the right one and padding.

    `log_probs` (n, V), `truth` int64 (n,). It is the KL divergence from that target, but for a constant.
    """
    right = log_probs.gather(1, truth[:, None])[:, 0]
    if smoothing == 0:
        return -right
    # A tokenizer without a padding token has another special token for it, which may be the right one.
    padding = log_probs[:, pad].masked_fill(truth == pad, 0.0)
    others = log_probs.shape[1] - 1 - (truth != pad).to(right.dtype)
    rest = log_probs.sum(dim=1) - right - padding
    return -(1 - smoothing) * right - smoothing * rest / others


def _mean_of_rows(values: Tensor, wanted: Tensor) -> Tensor:
    """The mean over rows of the mean of each: `values` (n,) stand where `wanted`, bool (B, T), is True."""
    row = wanted.nonzero()[:, 0]
    counts = wanted.sum(dim=1).to(values.dtype)
    return (values / counts[row]).sum() / len(wanted)


def _refuse_foreign(pretrained: Any) -> None:
    lacking = [
        name for name in ("attended", "make_head") if not hasattr(getattr(pretrained, "encoder", None), name)
    ]
    if lacking or not hasattr(pretrained, "head"):
        raise UserError(
            f"{type(pretrained).__name__} has no encoder and head that can learn to write",
            where="objective:seq2seq, slot pretrained",
            why=f"its encoder lacks {', '.join(lacking)}" if lacking else "it has no head over a vocabulary",
            cure="a run of objective:mlm, pmlm or seq2seq, or an encoder of its own in the slot encoder",
        )
