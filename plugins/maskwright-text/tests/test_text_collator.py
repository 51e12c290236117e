"""MaskingCollator: the masks of objective:mlm in a training loop that is not ours, with workers and after a resume."""

import inspect
import itertools
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from text_models import SENTENCES, model, sentences
from torch.utils.data import DataLoader
from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast, Trainer

from maskwright import Step, UserError
from maskwright.contracts import items_of
from maskwright.schedules import mrd_linear
from maskwright_text.collator import MaskingCollator, TrainerMasks
from maskwright_text.maskers import TokenMasker, WholeWordMasker
from maskwright_text.token_masking import Corruption
from maskwright_text.weighted import WeightedMasker
from maskwright_torch.batches import collate
from maskwright_torch.maskers import RandomMasker
from maskwright_torch.part import seeded

TOTAL = 8


@pytest.fixture(scope="module")
def subject() -> Any:
    return model(kind="bpe", vocabulary=290, ratio={"use": "mrd-linear", "p": 0.3}, masker="whole-word")


@pytest.fixture(scope="module")
def tokenizer(subject: Any) -> Any:
    names = {f"{role}_token": f"[{role.upper()}]" for role in ("pad", "unk", "cls", "sep", "mask")}
    return PreTrainedTokenizerFast(tokenizer_object=subject.encoder.codec.tokenizer, **names)


def features(tokenizer: Any, texts: Any = SENTENCES) -> list[dict[str, Any]]:
    encoded = tokenizer(list(texts), truncation=True, max_length=48)
    return [
        {"input_ids": encoded["input_ids"][n], "word_ids": encoded.word_ids(n), "rows": 100 + n}
        for n in range(len(texts))
    ]


def masking(tokenizer: Any, **changes: Any) -> MaskingCollator:
    settings = {
        "masker": WholeWordMasker(),
        "schedule": mrd_linear(0.3),
        "total_steps": TOTAL,
        "seed": 4,
        **changes,
    }
    return MaskingCollator(tokenizer, **settings)


@pytest.mark.parametrize("number", [0, 3, 7])
def test_masks_and_tokens_are_those_of_the_objective_for_the_same_rows(
    subject: Any, tokenizer: Any, number: int
):
    found = masking(tokenizer)
    batch = found.mask_batch(found(features(tokenizer)), number)
    items = list(items_of(sentences(), "test", Step()))
    own = collate(items, range(100, 106), subject.prepare, Step())
    step = Step(4, number, TOTAL)
    hidden = subject.choose(own, step)
    seen, masked = subject.corrupted(own, hidden, step)
    assert torch.equal(batch["labels"] != -100, hidden)
    assert torch.equal(batch["labels"][hidden], own["tokens"][hidden])
    assert torch.equal(batch["input_ids"], torch.where(masked, 4, seen["tokens"]))
    assert torch.equal(batch["attention_mask"].bool(), own["real"])


def test_special_tokens_and_padding_get_no_label(tokenizer: Any):
    found = masking(tokenizer, schedule=0.9, masker=TokenMasker("bernoulli"))
    padded = found(features(tokenizer))
    batch = found.mask_batch(padded, 0)
    special = torch.isin(padded["input_ids"], torch.arange(5))
    assert bool((batch["labels"][special] == -100).all())
    assert (batch["labels"] != -100).sum() > 0.8 * (~special).sum()
    visible = batch["labels"] == -100
    assert torch.equal(batch["input_ids"][visible], padded["input_ids"][visible])


def test_the_ratio_moves_with_loader_workers(tokenizer: Any):
    """What breaks the usual pattern: workers hold a copy of the collator from when they were started."""
    found = masking(tokenizer, masker=RandomMasker(), floor=0.0)
    data = [{**feature, "rows": n} for n, feature in enumerate(features(tokenizer, SENTENCES[:2] * TOTAL))]
    shares, masks = {}, {}
    for workers in (0, 2):
        loader = DataLoader(data, batch_size=2, num_workers=workers, collate_fn=found)  # type: ignore[arg-type]
        batches = [found.mask_batch(batch, number) for number, batch in enumerate(loader)]
        masks[workers] = [(batch["labels"] != -100).tolist() for batch in batches]
        shares[workers] = [float((batch["labels"] != -100).sum()) for batch in batches]
    assert masks[0] == masks[2]
    assert len(shares[2]) == TOTAL
    assert shares[2] == sorted(shares[2], reverse=True) and shares[2][0] > 4 * shares[2][-1]


def test_a_step_has_its_masks_whatever_was_asked_before(tokenizer: Any):
    first, again = masking(tokenizer), masking(tokenizer)
    batch = first(features(tokenizer))
    walked = [first.mask_batch(batch, number)["labels"] for number in range(TOTAL)]
    assert torch.equal(again.mask_batch(batch, 5)["labels"], walked[5])
    assert not torch.equal(walked[4], walked[5])
    assert not torch.equal(masking(tokenizer, seed=5).mask_batch(batch, 5)["labels"], walked[5])


def test_beyond_the_last_step_the_schedule_keeps_its_end_value(tokenizer: Any):
    found = masking(tokenizer, schedule=mrd_linear(0.3), floor=0.1, masker=RandomMasker())
    batch = found(features(tokenizer)[5:])
    counts = [int((found.mask_batch(batch, TOTAL)["labels"] != -100).sum())]
    with pytest.warns(UserWarning, match=f"a schedule of {TOTAL} steps is asked for later ones"):
        counts.append(int((found.mask_batch(batch, TOTAL + 50)["labels"] != -100).sum()))
    assert counts == [int(0.1 * len(features(tokenizer)[5]["input_ids"]) - 0.2 + 0.5)] * 2


def test_texts_without_rows_are_known_by_their_tokens(tokenizer: Any):
    bare = [{"input_ids": feature["input_ids"]} for feature in features(tokenizer)]
    found = masking(tokenizer, masker=RandomMasker())
    batch, turned = found(bare), found(bare[::-1])
    assert torch.equal(found.mask_batch(batch, 1)["labels"].flip(0), found.mask_batch(turned, 1)["labels"])
    assert len(batch["rows"].unique()) == 6


def test_whole_words_and_what_else_features_bring(tokenizer: Any):
    given = features(tokenizer)
    for feature in given:
        feature["token_type_ids"] = [0] * len(feature["input_ids"])
    found = masking(tokenizer, corruption=Corruption(1.0, 0.0))
    batch = found.mask_batch(found(given), 0)
    assert batch.keys() == {"input_ids", "attention_mask", "labels", "token_type_ids"}
    for row, feature in zip((batch["labels"] != -100).tolist(), given, strict=True):
        words = [w for w, hidden in zip(feature["word_ids"], row, strict=False) if hidden]
        assert all(feature["word_ids"].count(word) == words.count(word) for word in words)
    assert torch.equal(batch["input_ids"] == 4, batch["labels"] != -100)


def test_a_model_of_transformers_learns_from_these_batches(tokenizer: Any):
    """The loop that a Trainer runs, written out: three updates of two pieces each, with a worker."""
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=48, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    network = seeded(1, lambda: BertForMaskedLM(config))
    optimiser = torch.optim.AdamW(network.parameters(), lr=5e-3)
    found = masking(tokenizer, total_steps=3)
    loader = DataLoader(features(tokenizer), batch_size=1, num_workers=1, collate_fn=found)  # type: ignore[arg-type]
    losses = []
    for piece, batch in enumerate(loader):
        loss = network(**found.mask_batch(batch, piece // 2)).loss
        loss.backward()
        losses.append(float(loss.detach()))
        if piece % 2:
            optimiser.step()
            optimiser.zero_grad()
    assert len(losses) == 6 and sum(losses[4:]) < sum(losses[:2])


class LikeTrainer:
    """The calls of transformers.Trainer around a step: batches of an update, their labels counted, a step, judging."""

    def __init__(self) -> None:
        self.state = SimpleNamespace(global_step=0)
        self.judged: list[Any] = []

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> tuple[list[Any], int]:
        samples = list(itertools.islice(epoch_iterator, num_batches))
        return samples, sum(int((batch["labels"] != -100).sum()) for batch in samples)

    def prediction_step(
        self, model: Any, inputs: Any, prediction_loss_only: bool, ignore_keys: Any = None
    ) -> None:
        self.judged.append(inputs)

    def train(self, loader: Any, accumulate: int) -> list[tuple[list[Any], int]]:
        batches, updates = iter(loader), []
        for _ in range(len(loader) // accumulate):
            updates.append(self.get_batch_samples(batches, accumulate, "cpu"))
            self.prediction_step(None, next(iter(loader)), True)
            self.state.global_step += 1
        return updates


def test_the_hooks_of_a_trainer_mask_by_updates_before_labels_are_counted(tokenizer: Any):
    found = masking(tokenizer, total_steps=3)

    class MaskedTrainer(TrainerMasks, LikeTrainer):
        masking, judging = found, masking(tokenizer, masker=TokenMasker(), schedule=0.4, total_steps=1)

    trainer = MaskedTrainer()
    loader = DataLoader(features(tokenizer), batch_size=1, collate_fn=found)  # type: ignore[arg-type]
    updates = trainer.train(loader, accumulate=2)
    pieces = list(loader)
    assert len(updates) == 3
    for number, (samples, count) in enumerate(updates):
        own = [found.mask_batch(pieces[2 * number + piece], number) for piece in (0, 1)]
        assert all(torch.equal(a["labels"], b["labels"]) for a, b in zip(samples, own, strict=True))
        assert count == sum(int((batch["labels"] != -100).sum()) for batch in own) > 0
    labels = [batch["labels"].tolist() for batch in trainer.judged]
    assert labels == labels[:1] * 3 and any(label != -100 for label in labels[0][0]), (
        "judged alike at every step"
    )


def test_the_trainer_of_transformers_has_these_hooks():
    for name in ("get_batch_samples", "prediction_step"):
        theirs, ours = (
            list(inspect.signature(getattr(of, name)).parameters) for of in (Trainer, LikeTrainer)
        )
        assert theirs[: len(ours)] == ours


def test_padding_that_features_bring_is_not_attended_to(tokenizer: Any):
    """As of tokenizer(texts, padding="max_length"). Without rows too a text has the masks that it has unpadded."""
    bare = [{"input_ids": feature["input_ids"]} for feature in features(tokenizer)]
    lengths = [len(feature["input_ids"]) for feature in bare]
    full = [
        {
            "input_ids": [*feature["input_ids"], *[tokenizer.pad_token_id] * (60 - length)],
            "attention_mask": [1] * length + [0] * (60 - length),
        }
        for feature, length in zip(bare, lengths, strict=True)
    ]
    full[0] = {name: values[:55] for name, values in full[0].items()}
    found = masking(tokenizer, masker=RandomMasker())
    padded = found(full)
    assert padded["attention_mask"].shape == (6, 60)
    assert padded["attention_mask"].sum(dim=1).tolist() == lengths
    whole, short = found.mask_batch(padded, 1), found.mask_batch(found(bare), 1)
    for name in ("input_ids", "attention_mask", "labels"):
        assert torch.equal(whole[name][:, : max(lengths)], short[name])
    tensors = [{name: torch.tensor(values) for name, values in feature.items()} for feature in full]
    assert torch.equal(found(tensors)["attention_mask"], padded["attention_mask"])


def test_a_masked_out_token_is_never_hidden(tokenizer: Any):
    feature = {"input_ids": [2, 9, 10, 11, 3], "attention_mask": [1, 1, 0, 1, 1]}
    found = masking(tokenizer, masker=RandomMasker(), schedule=1.0, cap=1.0)
    batch = found.mask_batch(found([feature]), 0)
    assert (batch["labels"][0] != -100).tolist() == [False, True, False, True, False]
    assert batch["attention_mask"].tolist() == [[1, 1, 0, 1, 1]]


def test_what_no_model_takes_is_dropped(tokenizer: Any):
    found = masking(tokenizer)
    given = [{**feature, "label": 1, "text": "a dog"} for feature in features(tokenizer)]
    padded = found(given)
    assert padded.keys() == {"input_ids", "attention_mask", "rows", "word_ids"}
    assert found.mask_batch(padded, 0).keys() == {"input_ids", "attention_mask", "labels"}


def test_random_tokens_come_from_where_the_batch_is(tokenizer: Any, monkeypatch: pytest.MonkeyPatch):
    """Stands for a GPU, which is not there: what the masks are made with is moved to the batch, before masking."""
    found = masking(tokenizer, masker=RandomMasker())
    calls: list[Any] = []
    choose = found.masking.choose
    monkeypatch.setattr(found.masking, "to", lambda device: calls.append(device))
    monkeypatch.setattr(found.masking, "choose", lambda *of: calls.append("choose") or choose(*of))
    batch = found(features(tokenizer))
    found.mask_batch(batch, 0)
    assert calls == [batch["input_ids"].device, "choose"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"total_steps": 0}, "total_steps is 0\n  where: MaskingCollator\n  do:    the number of updates"),
        ({"masker": WeightedMasker("token-loss")}, "WeightedMasker remembers losses or counts of tokens, which "
         "a foreign training loop neither tells it nor keeps\n  where: MaskingCollator, masker\n  do:    a masker"),
        ({"masker": WeightedMasker("frequency")}, "WeightedMasker remembers losses or counts of tokens"),
        ({"schedule": mrd_linear(0.6)}, "the ratio goes from 0 to 1.2"),
        ({"schedule": 0.0}, "the ratio goes from 0 to 0"),
        ({"schedule": -0.1}, "the ratio goes from -0.1 to -0.1"),
        ({"schedule": float("nan")}, "the ratio goes from nan to nan\n  where: MaskingCollator, schedule"),
    ],
)  # fmt: skip
def test_settings_that_cannot_work_are_refused(tokenizer: Any, changes: dict[str, Any], message: str):
    with pytest.raises(UserError) as caught:
        masking(tokenizer, **changes)
    assert message in str(caught.value)


def test_a_tokenizer_without_a_mask_token_and_batches_of_others_are_refused(subject: Any, tokenizer: Any):
    bare = PreTrainedTokenizerFast(tokenizer_object=subject.encoder.codec.tokenizer, pad_token="[PAD]")
    with pytest.raises(UserError) as caught:
        masking(bare)
    assert "has no mask token\n  where: MaskingCollator, tokenizer.mask_token_id" in str(caught.value)
    found = masking(tokenizer)
    batch = {name: tensor for name, tensor in found(features(tokenizer)).items() if name != "rows"}
    with pytest.raises(UserError, match="the batch has no rows\n.*mask_batch\n.*attention_mask, input_ids, word_ids\n.*"
                                        "remove_unused_columns=False"):  # fmt: skip
        found.mask_batch(batch, 0)


def test_features_that_lack_what_the_masker_wants_are_refused(tokenizer: Any):
    found = masking(tokenizer)
    with pytest.raises(UserError) as caught:
        found.mask_batch(found([{"input_ids": [2, 9, 3]}]), 0)
    assert str(caught.value) == (
        "WholeWordMasker wants word_ids, which not all features have\n"
        "  where: MaskingCollator, masker\n"
        "  why:   the batch has attention_mask, input_ids, rows\n"
        "  do:    word_ids = BatchEncoding.word_ids(i) in every feature, from a fast tokenizer; or a masker of single "
        "tokens"
    )

    class ByTag(RandomMasker):
        features = ("tag",)

    found = masking(tokenizer, masker=ByTag())
    with pytest.raises(UserError) as caught:
        found.mask_batch(found([{"input_ids": [2, 9, 3]}]), 0)
    assert caught.value.what == "ByTag wants tags, which not all features have"
    assert caught.value.cure.startswith("tags in every feature: for each token its part of speech")


@pytest.mark.parametrize("name", ["attention_mask", "word_ids"])
def test_features_of_unequal_lengths_are_refused(tokenizer: Any, name: str):
    with pytest.raises(UserError) as caught:
        masking(tokenizer)([{"input_ids": [2, 9, 3], name: [1, 1]}])
    assert caught.value.what == f"a feature has 3 input_ids and 2 {name}"
    assert caught.value.cure == f"features in which {name} has an entry for each token"
