"""Time-variant masking for training loops that are not ours, such as the Trainer of transformers.

The usual pattern, a collator that reads the trainer's step and masks, breaks silently with loader workers: each worker
holds a copy of the collator from when it was started, so the ratio never moves. Workers also fetch batches ahead of the
step that will use them. So the work is split: the collator pads, in whatever process; `mask_batch` masks, in the main
process, where the step is known. It is cheap, and runs where the batch is, on a GPU too.

    masking = MaskingCollator(tokenizer, WholeWordMasker(), mrd_cosine(0.15), total_steps=args.max_steps, seed=1)
    judging = MaskingCollator(tokenizer, TokenMasker(), 0.15, total_steps=1, seed=2)

    class MaskedTrainer(TrainerMasks, Trainer):
        masking, judging = masking, judging

    MaskedTrainer(model, args, train_dataset=data, eval_dataset=other, data_collator=masking)

with remove_unused_columns=False among the arguments. This is shown and its hooks are tested, but no Trainer was run
here: it needs accelerate. In a loop of your own, call `mask_batch(batch, updates so far)` on what the loader gives.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from maskwright.errors import UserError
from maskwright.schedules import constant
from maskwright.step import Step
from maskwright_text.token_masking import Corruption, TokenMasking
from maskwright_text.token_units import TokenUnits
from maskwright_text.token_words import NO_WORD
from maskwright_torch.contracts import ROWS, Space
from maskwright_torch.noise import identity

WHERE = "MaskingCollator"
IGNORED = -100
"""Label of positions that bring no loss, in transformers."""
THEIRS = {"word": "word_ids", "tag": "tags"}
"""What maskers call a feature of tokens -> its name in the features of transformers."""
WORD_IDS = "word_ids = BatchEncoding.word_ids(i) in every feature, from a fast tokenizer; or a masker of single tokens"
TAGS = (
    "tags in every feature: for each token its part of speech, a number from 0 to 16, -1 for special tokens"
)


class TrainerMasks:
    """For a subclass of Trainer, before it among the bases: tokens are hidden where the step is known.

    `global_step` counts updates: pieces of an accumulated batch share a ratio, and a resumed training goes on where it
    was. All pieces of an update are masked before the Trainer counts their labels (`num_items_in_batch`), by which a
    model that takes it divides: the loss is then the mean over all hidden tokens of the update. Without labels to count
    it would be a mean of means. What is judged is always masked alike, by `judging` at step 0.
    """

    masking: "MaskingCollator"
    judging: "MaskingCollator"

    def get_batch_samples(self, epoch_iterator: Iterator[Mapping[str, Tensor]], *rest: Any) -> Any:
        masked = (self.masking.mask_batch(batch, self.state.global_step) for batch in epoch_iterator)  # type: ignore[attr-defined]
        return super().get_batch_samples(masked, *rest)  # type: ignore[misc]

    def prediction_step(self, model: Any, inputs: Mapping[str, Tensor], *rest: Any, **more: Any) -> Any:
        return super().prediction_step(model, self.judging.mask_batch(inputs, 0), *rest, **more)  # type: ignore[misc]


class MaskingCollator:
    """Pads features when called; `mask_batch(batch, step)` hides tokens as objective:mlm does.

    A feature has `input_ids`, and may have `attention_mask`, 0 where its tokenizer padded it; `token_type_ids`;
    `word_ids`, which maskers of whole words need (`BatchEncoding.word_ids(i)`, None for special tokens); `tags`,
    numbers of parts of speech, -1 for special tokens; and `rows`, a whole number of its own, such as its place in the
    data set.

    Masks depend on (seed, step, row) alone; without `rows` a text is known by its ids, and equal texts get equal masks.

    `word_ids` as the tokenizer gives them are whole clauses of Chinese, Japanese or Thai; in such texts take
    `token_words.words_of_tokens(encoding[i], text)`, which also goes for tokenizers that do not cut at words.

    Maskers that go by losses or counts (`weighted`, but for source "uniform") are refused: nothing in the Trainer's
    loop tells them the losses of single tokens, and its checkpoints do not keep what they remember. objective:mlm on
    encoder:hf-text does both, for the same models.

    Anything else in a feature is dropped, a `label` too: remove_unused_columns=False brings all columns of a data set,
    and a model refuses those that it does not know.
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
        if not (0 <= low <= 1 and 0 < high <= 1):  # no comparison with nan holds
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
        self.masking = TokenMasking(
            TokenUnits(space),
            masker,
            schedule,
            corruption=corruption,
            at_least_one=at_least_one,
            floor=floor,
            cap=cap,
        )

    def __call__(self, features: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """Padded `input_ids`, `attention_mask`, `rows`, and where all features have them `token_type_ids`, `word_ids`
        and `tags`. Nothing is hidden yet."""
        ids = [_numbers(feature, "input_ids") for feature in features]
        real = [_real(feature, row) for feature, row in zip(features, ids, strict=True)]
        batch = {
            "input_ids": _pad(ids, self.pad),
            "attention_mask": _pad(real, 0),
            ROWS: torch.tensor([_row(*each) for each in zip(features, ids, real, strict=True)]),
        }
        for name, fill in (("token_type_ids", 0), ("word_ids", NO_WORD), ("tags", NO_WORD)):
            if all(name in feature for feature in features):
                batch[name] = _pad([_numbers(feature, name) for feature in features], fill)
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
        _refuse_lacking(self.masking.masker, batch)
        tokens, real = batch["input_ids"], batch["attention_mask"].bool()
        special = torch.isin(tokens, torch.tensor(self.specials, device=tokens.device)) | ~real
        own = {"tokens": tokens, "real": real, "special": special, ROWS: batch[ROWS]}
        own |= {ours: batch[name] for ours, name in THEIRS.items() if name in batch}
        self.masking.to(tokens.device)  # random tokens are drawn from a table of ids; not tried on a GPU
        at = self.step.at(step)
        hidden = self.masking.choose(own, at)
        seen, masked = self.masking.corrupted(own, hidden, at)
        found = {
            "input_ids": torch.where(masked, self.masking.encoder.space.mask_id, seen["tokens"]),
            "attention_mask": batch["attention_mask"],
            "labels": tokens.masked_fill(~hidden, IGNORED),
        }
        return found | {name: batch[name] for name in ("token_type_ids",) if name in batch}


def _numbers(feature: Mapping[str, Any], name: str) -> list[int]:
    """A whole number for each token; None is what tokenizers call a token in no word."""
    values, count = feature[name], len(feature["input_ids"])
    if len(values) != count:
        raise UserError(
            f"a feature has {count} input_ids and {len(values)} {name}",
            where=WHERE,
            cure=f"features in which {name} has an entry for each token",
        )
    values = values.tolist() if hasattr(values, "tolist") else values
    return [NO_WORD if value is None else int(value) for value in values]


def _real(feature: Mapping[str, Any], ids: Sequence[int]) -> list[int]:
    """1 for each token of the text, 0 for padding."""
    return _numbers(feature, "attention_mask") if "attention_mask" in feature else [1] * len(ids)


def _row(feature: Mapping[str, Any], ids: Sequence[int], real: Sequence[int]) -> int:
    if ROWS in feature:
        return int(feature[ROWS])
    # Padding is no part of a text.
    return identity(" ".join(str(token) for token, there in zip(ids, real, strict=True) if there))


def _refuse_lacking(masker: Any, batch: Mapping[str, Tensor]) -> None:
    for feature in getattr(masker, "features", ()):
        if feature in THEIRS and THEIRS[feature] not in batch:
            raise UserError(
                f"{type(masker).__name__} wants {THEIRS[feature]}, which not all features have",
                where=f"{WHERE}, masker",
                why=f"the batch has {', '.join(sorted(batch))}",
                cure=WORD_IDS if feature == "word" else TAGS,
            )


def _pad(rows: Sequence[Sequence[int]], fill: int) -> Tensor:
    """int64 (B, T)"""
    length = max((len(row) for row in rows), default=0)
    return torch.tensor([[*row, *[fill] * (length - len(row))] for row in rows], dtype=torch.int64)
