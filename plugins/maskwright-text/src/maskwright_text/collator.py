"""Time-variant masking for training loops that are not ours, such as the Trainer of transformers.

The usual pattern, a collator that reads the trainer's step and masks, breaks silently with loader workers: each worker
holds a copy of the collator from when it was started, so the ratio never moves. Workers also fetch batches ahead of the
step that will use them. So the work is split: the collator pads, in whatever process; `mask_batch` masks, in the main
process, where the step is known. It is cheap, and runs where the batch is, on a GPU too.

    masking = MaskingCollator(tokenizer, WholeWordMasker(), mrd_cosine(0.15), total_steps=args.max_steps, seed=1)

    class MaskedTrainer(Trainer):
        def training_step(self, model, inputs, *rest):
            inputs = masking.mask_batch(inputs, self.state.global_step)
            return super().training_step(model, inputs, *rest)

    MaskedTrainer(model, args, train_dataset=data, data_collator=masking)   # with remove_unused_columns=False

`global_step` counts updates: pieces of an accumulated batch share a ratio, and a resumed training goes on where it was.
For evaluation take another one with a constant ratio and mask at step 0.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from maskwright.errors import UserError
from maskwright.schedules import constant
from maskwright.step import Step
from maskwright_text.mlm import Corruption, Mlm
from maskwright_text.token_units import TokenUnits
from maskwright_torch.contracts import ROWS, Space
from maskwright_torch.noise import identity

WHERE = "MaskingCollator"
IGNORED = -100
"""Label of positions that bring no loss, in transformers."""
NO_WORD = -1


class MaskingCollator:
    """Pads features when called; `mask_batch(batch, step)` hides tokens as objective:mlm does.

    A feature has `input_ids`, and may have `token_type_ids`; `word_ids`, which maskers of whole words need
    (`BatchEncoding.word_ids(i)`, None for special tokens); `tags`, numbers of parts of speech, -1 for special tokens;
    and `rows`, a whole number of its own, such as its place in the data set. Masks depend on (seed, step, row) alone;
    without `rows` a text is known by its ids, and equal texts get equal masks.
    """

    def __init__(
        self,
        tokenizer: Any,
        masker: Any,
        schedule: Callable[..., float] | float,
        total_steps: int,
        seed: int = 0,
        *,
        corruption: Corruption | None = None,
        at_least_one: bool = True,
        floor: float = 0.02,
        cap: float = 0.95,
    ) -> None:
        if total_steps < 1:
            raise UserError(
                f"total_steps is {total_steps}",
                where=WHERE,
                cure="the number of updates of the whole training",
            )
        if tokenizer.mask_token_id is None:
            raise UserError(
                f"{type(tokenizer).__name__} has no mask token",
                where=f"{WHERE}, tokenizer.mask_token_id",
                cure="the tokenizer of a masked language model, such as BERT's or RoBERTa's",
            )
        if any(True for _ in masker.buffers()):
            raise UserError(
                f"{type(masker).__name__} remembers losses or counts of tokens, which a foreign training loop neither "
                "tells it nor keeps",
                where=f"{WHERE}, masker",
                cure="a masker without memory; or train with objective:mlm, on encoder:hf-text",
            )
        schedule = schedule if callable(schedule) else constant(schedule)
        low, high = getattr(schedule, "range", (0.0, 1.0))
        if low < 0 or high > 1 or high == 0:
            raise UserError(
                f"the ratio goes from {low:g} to {high:g}",
                where=f"{WHERE}, schedule",
                cure="a share of the tokens, above 0 and at most 1",
            )
        self.pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.mask_token_id
        self.specials = tuple(sorted(tokenizer.all_special_ids))
        self.step = Step(seed, 0, total_steps)
        space = Space(
            (0,), vocabulary=len(tokenizer), mask_id=tokenizer.mask_token_id, specials=self.specials
        )
        self.objective = Mlm(
            TokenUnits(space),
            masker,
            schedule,
            corruption=corruption,
            at_least_one=at_least_one,
            floor=floor,
            cap=cap,
        )

    def __call__(self, features: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """Padded `input_ids`, `attention_mask`, `rows`, and what else features bring; nothing is hidden yet."""
        ids = [_numbers(feature["input_ids"]) for feature in features]
        batch = {
            "input_ids": _pad(ids, self.pad),
            "attention_mask": _pad([[1] * len(row) for row in ids], 0),
            ROWS: torch.tensor([_row(feature, row) for feature, row in zip(features, ids, strict=True)]),
        }
        for name, fill in (("token_type_ids", 0), ("word_ids", NO_WORD), ("tags", NO_WORD)):
            if all(name in feature for feature in features):
                batch[name] = _pad([_numbers(feature[name]) for feature in features], fill)
        return batch

    def mask_batch(self, batch: Mapping[str, Tensor], step: int) -> dict[str, Tensor]:
        """`input_ids`, `attention_mask`, `labels` (-100 where nothing is hidden) and `token_type_ids` where there.

        `step` is the number of updates made so far. Beyond the last one the schedule keeps its end value.
        """
        if ROWS not in batch:
            raise UserError(
                "the batch has no rows",
                where=f"{WHERE}.mask_batch",
                why=f"it has {', '.join(sorted(batch))}",
                cure="batches padded by calling this MaskingCollator; of a Trainer, remove_unused_columns=False",
            )
        tokens, real = batch["input_ids"], batch["attention_mask"].bool()
        special = torch.isin(tokens, torch.tensor(self.specials, device=tokens.device)) | ~real
        own = {"tokens": tokens, "real": real, "special": special, ROWS: batch[ROWS]}
        own |= {ours: batch[name] for ours, name in (("word", "word_ids"), ("tag", "tags")) if name in batch}
        at = self.step.at(step)
        hidden = self.objective.choose(own, at)
        seen, masked = self.objective.corrupted(own, hidden, at)
        found = {
            "input_ids": torch.where(masked, self.objective.encoder.space.mask_id, seen["tokens"]),
            "attention_mask": batch["attention_mask"],
            "labels": tokens.masked_fill(~hidden, IGNORED),
        }
        return found | {name: batch[name] for name in ("token_type_ids",) if name in batch}


def _numbers(values: Any) -> list[int]:
    """A row as whole numbers; None is what tokenizers call a token in no word."""
    values = values.tolist() if hasattr(values, "tolist") else values
    return [NO_WORD if value is None else int(value) for value in values]


def _row(feature: Mapping[str, Any], ids: Sequence[int]) -> int:
    return int(feature[ROWS]) if ROWS in feature else identity(" ".join(map(str, ids)))


def _pad(rows: Sequence[Sequence[int]], fill: int) -> Tensor:
    """int64 (B, T)"""
    length = max((len(row) for row in rows), default=0)
    return torch.tensor([[*row, *[fill] * (length - len(row))] for row in rows], dtype=torch.int64)
