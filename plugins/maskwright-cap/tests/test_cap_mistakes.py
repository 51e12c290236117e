"""What cannot work is told in words: before anything starts, or at the first step where only the data show it."""

import copy
from pathlib import Path
from typing import Any

import cap_toys
import pytest
import torch
from cap_toys import SMALL, run

import maskwright as mw
from maskwright import UserError
from maskwright.errors import RecipeError
from maskwright_cap import teachers
from maskwright_cap.cap import labels_of
from maskwright_cap.contrast import NO_LABEL
from maskwright_cap.example_parts import example_encoder
from maskwright_cap.params_cap import Cap
from maskwright_cap.teachers import require_classes
from maskwright_testing import assert_user_error
from maskwright_torch.noise import uniform
from maskwright_torch.params_classify import Classify

pytestmark = pytest.mark.usefixtures("toys")


@pytest.mark.parametrize(
    ("changes", "setting", "text"),
    [
        ({"sparsity": {"use": "steps", "end": 1.0}}, "sparsity", "below 1, found 0.1 to 1; 90 % is 0.9"),
        ({"sparsity": 90.0}, "sparsity", "below 1, found 90 to 90"),
        ({"sparsity": -0.1}, "sparsity", "at least 0 and below 1, found -0.1 to -0.1"),
        ({"sparsity": {"use": "linear", "start": 0.8, "end": 0.2}}, "sparsity", "fall, found 0.8 before 0.2"),
        ({"criterion": "movement"}, "criterion", 'movement scores single weights: pruned = "weights"'),
        ({"pruned": "weights"}, "criterion", 'heads and neurons; of weights: "magnitude" or "movement"'),
        ({"penalty": 1.0}, "penalty", 'is for criterion = "soft-movement"; first-order has none'),
        ({"criterion": "magnitude", "per": "example"}, "per", "magnitude measures no gradients"),
        ({"criterion": "magnitude", "importance_items": 8}, "importance_items", 'for criterion = "first-order"'),
        ({"criterion": "magnitude", "importance_batch": 8}, "importance_batch", 'for criterion = "first-order"'),
        ({"pruned": "neurons", "floor": 2}, "floor", "is of heads; neurons alone are pruned"),
        ({"pruned": "weights", "criterion": "magnitude", "floor": 2}, "floor", "is of heads; weights alone"),
        ({"scope": "all"}, "scope", 'is for pruned = "weights"; units of all blocks are compared'),
        ({"score_lr": 2.0}, "score_lr", "is for scores that are learned (movement, soft-movement); first-order"),
        ({"prc": False, "pretrained": {"use": "toy-blocks"}}, "pretrained", "is what prc holds on to"),
        ({"supervised": 0, "unsupervised": 0, "pretrained": "toy-blocks"}, "pretrained", "and that is off"),
        ({"inner.encoder": "toy-plain"}, "inner", "encoder:toy-plain does not say what can be pruned of it"),
        ({"chooser": {"use": "random", "rounding": "upstream"}}, "chooser", "refuses inexact-count, which"),
        ({"fic": True}, "fic", "needs a teacher"),
        ({"kd": 0.5}, "kd", "needs a teacher"),
        ({"kd": 0.5, "teacher": {"use": "toy-blocks"}}, "kd", "compares class scores; teacher gives none"),
        ({"inner.mixup": 0.8}, "inner", "mixes the rows of a batch, and a bank knows them one by one"),
        ({"floor": -1}, "floor", "must be >= 0, found -1"),
        ({"bank_share": 0.0}, "bank_share", "must be > 0 and <= 1, found 0"),
    ],
)  # fmt: skip
def test_mistakes_of_a_recipe(changes: dict[str, Any], setting: str, text: str):
    with pytest.raises(RecipeError) as caught:
        mw.plan(
            copy.deepcopy(SMALL), {f"objective.{name}": value for name, value in changes.items()}
        ).require()
    found = {mistake.path: mistake.message for mistake in caught.value.mistakes}
    assert text in found.get(f"objective.{setting}", ""), found


def test_settings_that_do_nothing_are_silent_where_they_ask_for_nothing():
    for changes in ({"pruned": "neurons", "floor": 0}, {"criterion": "magnitude", "importance_batch": 32}):
        given = {f"objective.{name}": value for name, value in changes.items()}
        assert not mw.plan(copy.deepcopy(SMALL), given).mistakes
    (mistake,) = mw.plan(copy.deepcopy(SMALL), {"objective.inner.encoder": "toy-plain"}).mistakes
    assert mistake.message.endswith("(tag prunable)  Fits: toy-blocks")


def test_contrasts_compare_the_rows_of_a_batch():
    (mistake,) = mw.plan(copy.deepcopy(SMALL), {"accumulate": 2}).mistakes
    assert mistake.path == "accumulate" and "compares the rows" in mistake.message
    off = {"accumulate": 2, "objective.prc": False, "objective.snc": False}
    assert not mw.plan(copy.deepcopy(SMALL), off).mistakes


def test_a_masker_that_wants_units_of_its_own_is_refused():
    (mistake,) = mw.plan(copy.deepcopy(SMALL), {"objective.chooser": "toy-squares"}).mistakes
    assert mistake.path == "objective.chooser"
    assert "masker:toy-squares hides patches; here units are heads, neurons or weights" in mistake.message


def built(inner: Any, **settings: Any) -> Any:
    return Cap(inner=inner, prc=False, snc=False, **settings).build()


def test_parts_that_do_not_fit():
    student = Classify(encoder=example_encoder(), classes=2)
    teacher = Classify(encoder=example_encoder(), classes=3)
    assert_user_error(
        lambda: built(student, teacher=teacher),
        "the teacher knows 3 classes, the student 2",
        "fine-tuned on the same labels",
    )
    plain = torch.nn.Linear(2, 2)
    plain.pooled_width, plain.prepare = 2, None  # type: ignore[assignment]
    assert_user_error(
        lambda: built(Classify(encoder=plain, classes=2)),
        "Linear does not say what can be pruned",
        "toy-blocks",
        "prunable(), compact(kept) and shape",
    )


def test_a_teacher_that_was_never_fine_tuned_is_refused(taught: dict[str, Any], tmp_path: Path):
    teacher = run(tmp_path / "teacher", cap_toys.TEACHER, steps=0)
    given = {"use": "from-run", "run": str(teacher.folder), "part": "objective"}
    with pytest.raises(UserError, match="the teacher was not fine-tuned for this task") as caught:
        run(tmp_path / "a", objective__teacher=given, objective__kd=0.5)
    assert "of 40 training labels, always the most frequent one would be 20, and chance" in caught.value.why
    assert "fine-tune it first" in caught.value.cure
    assert run(tmp_path / "b", **taught, steps=2).status["status"] == "finished"


def test_a_teacher_of_sorted_items_is_asked_about_all_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The first items are all of one class, which whoever says always the same would know."""
    monkeypatch.setattr(teachers, "ASKED", 12)
    teacher = run(tmp_path / "teacher", cap_toys.TEACHER, steps=0)
    given = {"use": "from-run", "run": str(teacher.folder), "part": "objective"}
    with pytest.raises(UserError, match="the teacher was not fine-tuned for this task") as caught:
        run(
            tmp_path / "a",
            objective__teacher=given,
            objective__kd=0.5,
            data={"use": "toy-ramps", "by_label": True},
        )
    assert "of 12 training labels" in caught.value.why


def coins(key: int, count: int) -> torch.Tensor:
    return (uniform(key, torch.arange(1), count)[0] < 0.5).long()


def test_a_teacher_that_throws_coins_has_learned_nothing():
    labels = torch.arange(512) % 2
    passed = 0
    for key in range(200):
        right, needed, most = teachers.hits_needed(coins(key, 512), labels)
        assert most == 256 and 280 < needed < 300, "half of them, and three deviations of 11.3 more"
        passed += right >= needed
    assert passed <= 2
    all_known, needed, _ = teachers.hits_needed(labels, labels)
    assert all_known == 512 and needed == 256 + 34, "the deviation is 512 / (2 * the root of 511)"


def test_what_a_teacher_must_know_of_few_or_lopsided_items():
    assert teachers.hits_needed(torch.tensor([0, 1]), torch.tensor([0, 1])) == (2, 2, 1), "all of two"
    always = torch.zeros(500, dtype=torch.int64)
    rare = (torch.arange(500) % 50 == 0).long()  # ten of them
    right, needed, most = teachers.hits_needed(always, rare)
    assert (right, most) == (490, 490) and right < needed, "always the most frequent"
    half = always.clone()
    half[:250:50] = 1
    right, needed, _ = teachers.hits_needed(half, rare)
    assert right == 495 and right >= needed, "five of ten rare ones and no false one are no chance"


def reads_otherwise(monkeypatch: pytest.MonkeyPatch, first: int) -> None:
    """The part whose turn to read is number `first` gets other numbers."""
    whole = teachers.collate
    calls: list[Any] = []

    def other(items: Any, rows: Any, prepare: Any, step: Any) -> Any:
        calls.append(prepare)
        batch = whole(items, rows, prepare, step)
        return {**batch, "vector": batch["vector"] + 1} if len(calls) == first else batch

    monkeypatch.setattr(teachers, "collate", other)


def test_a_teacher_that_reads_the_items_in_another_way_is_refused(
    taught: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    reads_otherwise(monkeypatch, 1)
    with pytest.raises(UserError, match="reads the training items in another way") as caught:
        run(tmp_path / "a", **taught)
    assert "their batches differ in vector: another tokenizer" in caught.value.why


def test_a_pretrained_encoder_that_reads_the_items_in_another_way_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    reads_otherwise(monkeypatch, 1)
    with pytest.raises(UserError, match="the pretrained reads the training items in another way") as caught:
        run(tmp_path / "a", objective__pretrained={"use": "toy-blocks"})
    assert caught.value.where == "objective:cap, setting pretrained"


def test_banks_of_another_width_are_refused():
    wide = example_encoder()
    wide.pooled_width = 20
    student = Classify(encoder=example_encoder(), classes=2)
    assert_user_error(
        lambda: Cap(inner=student, pretrained=wide).build(),
        "the pretrained gives vectors of 20 numbers, the student of 16",
        "prc=false",
    )
    teacher = Classify(encoder=wide, classes=2)
    assert_user_error(
        lambda: Cap(inner=student, teacher=teacher, fic=True).build(),
        "the teacher gives vectors of 20 numbers, the student of 16",
    )
    student = Classify(encoder=example_encoder(), classes=2)
    assert Cap(inner=student, pretrained=wide, pool="mean").build().pretrained is wide, (
        "the states are 16 wide"
    )


def test_what_cannot_be_tested_of_a_teacher_is_said(tmp_path: Path):
    made = run(tmp_path / "a", objective__teacher={"use": "toy-blocks"}, objective__fic=True, steps=1)
    told = "the teacher gives no class scores: whether it was fine-tuned cannot be tested"
    assert made.part("objective").notices == [told]
    student = Classify(encoder=example_encoder(), classes=2)
    whole = built(student, teacher=Classify(encoder=example_encoder(1), classes=2))
    assert whole.notices == []
    whole.inner.notices = ["from within"]
    assert whole.notices == ["from within"]


def test_whole_batches_are_wanted_for_contrasts_alone():
    inner, teacher = (Classify(encoder=example_encoder(seed), classes=2) for seed in (0, 1))
    off: dict[str, Any] = {"inner": inner, "prc": False, "snc": False}
    assert Cap(inner=inner).tags() == {"stateful", "whole-batch"}
    assert Cap(**off, teacher=teacher, kd=0.5).tags() == {"stateful"}
    assert Cap(**off, pruned="weights", criterion="soft-movement").tags() == {"stateful"}


def test_one_class_cannot_be_told_apart(tmp_path: Path):
    one = {"use": "toy-ramps", "one_label": True}
    with pytest.raises(UserError, match="all items in the banks have the label 0") as caught:
        run(tmp_path / "a", data=one)
    assert "bank_share=1 if other items" in caught.value.cure and "supervised=0" in caught.value.cure
    assert run(tmp_path / "b", data=one, objective__supervised=0.0, steps=2).status["status"] == "finished"


def test_fewer_items_than_extra_ones_are_all_taken(tmp_path: Path):
    made = run(tmp_path / "a", objective__extra=4096, data={"use": "toy-ramps", "train": 8}, steps=4)
    assert made.status["status"] == "finished"


def test_vectors_that_are_no_numbers_do_not_reach_a_bank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import maskwright_cap.cap as module

    monkeypatch.setattr(module, "unit", lambda vectors: vectors * float("nan"))
    with pytest.raises(UserError, match="the vectors for the bank pre are no numbers") as caught:
        run(tmp_path / "a")
    assert caught.value.where == "training item 0 and the 39 after it"
    assert not (tmp_path / "a/banks/pre-00000000").exists()


def test_floors_that_hold_heads_back_are_reported(tmp_path: Path):
    settings = {"objective__pruned": "heads", "objective__floor": 3}
    made = run(tmp_path / "a", evaluators=[{"use": "sparsity", "on": "objective"}], **settings)
    assert int(made.part("objective").held_back) == 4, "2 of 8 may go, 6 were asked for"
    notes = [path.read_text() for path in (made.folder / "artefacts").rglob("*.json")]
    assert any("4 units stay because of the floor" in text for text in notes)


def test_labels_that_are_numbers_are_no_classes():
    rows = torch.arange(3)
    assert labels_of({"rows": rows, "label": torch.tensor([0.5, 1.0, 2.0])}).tolist() == [NO_LABEL] * 3
    assert labels_of({"rows": rows}).tolist() == [NO_LABEL] * 3
    assert labels_of({"rows": rows, "label": rows}).tolist() == [0, 1, 2]
    with pytest.warns(UserWarning, match="the supervised contrasts are off"):
        require_classes(torch.full((3,), NO_LABEL))
