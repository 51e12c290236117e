"""The bank contrast against loops over anchors and candidates, and against what can be worked out by hand."""

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from maskwright import Step
from maskwright_cap.banks import Snapshots, places_of
from maskwright_cap.contrast import NO_LABEL, BankContrast, contrast_terms, softened_divergence, unit
from maskwright_torch.noise import uniform

ITEMS, WIDTH, BATCH = 20, 6, 5
ROWS = torch.tensor([3, 17, 0, 8, 11])
STEP = Step(seed=4, number=2)


def vectors(key: int, count: int, width: int = WIDTH) -> Tensor:
    return uniform(key, torch.arange(count), width) - 0.5


def bank(moments: int = 1, classes: int = 3, share: float = 1.0) -> Snapshots:
    places = places_of(Step(seed=1), ITEMS, share)
    made = [unit(vectors(50 + k, ITEMS))[places].numpy().astype(np.float16) for k in range(moments)]
    return Snapshots(places, places % classes, tuple(made))


def by_loops(
    contrast: BankContrast, held: Snapshots, anchors: Tensor, rows: Tensor, labels: Tensor, step: Step
) -> dict[str, tuple[float, int, int]]:
    """(sum, anchors with positives, positives) of both losses, as the formula reads."""
    q = F.normalize(anchors.double(), dim=1)
    of = contrast.candidates(held, rows, labels, step)
    a = torch.cat([q.detach(), of.vectors.double()])
    who, kind = torch.cat([rows, of.rows]), torch.cat([labels, of.labels])
    found = {}
    for name, mine, theirs in (("same_item", rows, who), ("same_label", labels, kind)):
        total, with_any, all_positives = 0.0, 0, 0
        for i in range(len(q)):
            others = [j for j in range(len(a)) if j != i]
            scores = {j: float(q[i] @ a[j]) / contrast.temperature for j in others}
            logsum = math.log(sum(math.exp(s) for s in scores.values()))
            positives = [j for j in others if int(theirs[j]) == int(mine[i])]
            if positives:
                total -= sum(scores[j] - logsum for j in positives) / len(positives)
                with_any, all_positives = with_any + 1, all_positives + len(positives)
        found[f"{contrast.name}_{name}"] = (total, with_any, all_positives)
    return found


@pytest.mark.parametrize(("moments", "extra", "share"), [(1, 0, 1.0), (1, 6, 1.0), (3, 8, 1.0), (2, 8, 0.5)])
def test_it_is_the_double_loop(moments: int, extra: int, share: float):
    contrast = BankContrast("snc", 1.0, 1.0, 0.3, extra)
    held, anchors, labels = bank(moments, share=share), vectors(7, BATCH), ROWS % 3
    found = contrast_terms([(contrast, held)], anchors, ROWS, labels, STEP)
    for name, (total, with_any, _) in by_loops(contrast, held, anchors, ROWS, labels, STEP).items():
        assert float(found[name].sum) == pytest.approx(total, rel=1e-6)
        assert int(found[name].count) == with_any
    assert len(contrast.candidates(held, ROWS, labels, STEP).rows) == moments * (
        int(held.find(ROWS)[0].sum()) + min(extra // moments, len(held.places))
    )


def test_two_views_and_labels_are_supervised_contrastive_learning():
    """L_out of arXiv:2004.11362 in float64, from its equation: the bank holds the other view of each item."""
    labels, temperature = (ROWS % 3).tolist(), 0.07
    contrast, held = BankContrast("prc", 0.0, 1.0, temperature, 0), bank()
    anchors = vectors(7, BATCH)
    assert anchors.dtype == torch.float64
    term = contrast_terms([(contrast, held)], anchors, ROWS, torch.tensor(labels), STEP)["prc_same_label"]
    views = [row / math.sqrt(sum(x * x for x in row)) for row in anchors.numpy()]
    views += [held.vectors[0][place].astype(np.float64) for place in ROWS.tolist()]
    kinds = labels * 2
    total = 0.0
    for i in range(BATCH):
        others = [j for j in range(2 * BATCH) if j != i]
        everything = sum(math.exp(float(views[i] @ views[a]) / temperature) for a in others)
        same = [p for p in others if kinds[p] == kinds[i]]
        logs = [math.log(math.exp(float(views[i] @ views[p]) / temperature) / everything) for p in same]
        total += -sum(logs) / len(logs)
    assert int(term.count) == BATCH
    assert float(term.sum / term.count) == pytest.approx(total / BATCH, rel=1e-12)


def test_extra_vectors_of_a_batch_item_count_as_its_own():
    """All 20 items are extras, so each anchor's item is there twice."""
    contrast = BankContrast("prc", 1.0, 0.0, 0.1, 4096)
    held, anchors = bank(), vectors(7, BATCH)
    of = contrast.candidates(held, ROWS, ROWS, STEP)
    assert sorted(of.rows[BATCH:].tolist()) == list(range(ITEMS)), (
        "without replacement, no more than there are"
    )
    _, with_any, positives = by_loops(contrast, held, anchors, ROWS, ROWS, STEP)["prc_same_item"]
    assert (with_any, positives) == (BATCH, 2 * BATCH)
    official = BankContrast("prc", 1.0, 0.0, 0.1, 4096, "official")
    paper = contrast_terms([(contrast, held)], anchors, ROWS, ROWS, STEP)["prc_same_item"]
    other = contrast_terms([(official, held)], anchors, ROWS, ROWS, STEP)["prc_same_item"]
    assert float(other.sum / other.count) == pytest.approx(float(paper.sum / paper.count) / 2, rel=1e-6)


@pytest.mark.parametrize("moments", [1, 3])
def test_the_official_reduction_is_smaller_by_the_number_of_positives(moments: int):
    found = {}
    for reduction in ("paper", "official"):
        contrast = BankContrast("snc", 1.0, 0.0, 0.1, 0, reduction)
        term = contrast_terms([(contrast, bank(moments))], vectors(7, BATCH), ROWS, ROWS, STEP)[
            "snc_same_item"
        ]
        found[reduction] = float(term.sum / term.count)
    assert found["official"] == pytest.approx(found["paper"] / moments, rel=1e-6)


def test_one_bank_vector_and_nothing_else_is_infonce_with_negatives_from_batch_and_bank():
    contrast, held = BankContrast("prc", 1.0, 0.0, 0.5, 0), bank()
    q = unit(vectors(7, BATCH))
    theirs = held.read(ROWS)[:, 0].double()
    current = (q @ q.T / 0.5).masked_fill(torch.eye(BATCH, dtype=torch.bool), -torch.inf)
    wanted = F.cross_entropy(torch.cat([q @ theirs.T / 0.5, current], dim=1), torch.arange(BATCH))
    term = contrast_terms([(contrast, held)], q, ROWS, ROWS, STEP)["prc_same_item"]
    assert float(term.sum / term.count) == pytest.approx(float(wanted), rel=1e-6)


def test_only_anchors_have_a_gradient_and_their_own_copy_has_none_of_it():
    contrast, held = BankContrast("prc", 1.0, 1.0, 0.1, 6), bank()
    anchors = vectors(7, BATCH).requires_grad_()

    def value(given: Tensor) -> Tensor:
        terms = contrast_terms([(contrast, held)], given, ROWS, ROWS % 3, STEP)
        return sum((t.sum / t.count for t in terms.values()), start=torch.zeros(()))

    (found,) = torch.autograd.grad(value(anchors), anchors)
    # Moving one anchor alone, with the other rows' copies held still: the derivative of its own row of the loss.
    q = unit(anchors.detach())
    of = contrast.candidates(held, ROWS, ROWS % 3, STEP)
    fixed = torch.cat([q, of.vectors.double()])
    rows, kinds = torch.cat([ROWS, of.rows]), torch.cat([ROWS % 3, of.labels])
    with torch.enable_grad():
        again = anchors.detach().clone().requires_grad_()
        terms = contrast.terms(unit(again) @ fixed.T, ROWS, ROWS % 3, type(of)(fixed[BATCH:], rows, kinds))
        (wanted,) = torch.autograd.grad(
            sum((t.sum / t.count for t in terms.values()), torch.zeros(())), again
        )
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-9)


def test_the_order_of_the_bank_does_not_matter():
    contrast, labels = BankContrast("prc", 1.0, 1.0, 0.1, 4096), ROWS % 3
    q = unit(vectors(7, BATCH))
    of = contrast.candidates(bank(), ROWS, labels, STEP)
    turned = type(of)(of.vectors.flip(0), of.rows.flip(0), of.labels.flip(0))
    values = []
    for given in (of, turned):
        everything = torch.cat([q, given.vectors.double()])
        whole = type(of)(given.vectors, torch.cat([ROWS, given.rows]), torch.cat([labels, given.labels]))
        values.append([float(t.sum) for t in contrast.terms(q @ everything.T, ROWS, labels, whole).values()])
    assert values[0] == pytest.approx(values[1], rel=1e-12)


def test_what_is_left_without_any_contrast():
    """A great temperature, or candidates that are all alike, leave the logarithm of their number."""
    hot = BankContrast("prc", 1.0, 0.0, 1e9, 0)
    term = contrast_terms([(hot, bank())], vectors(7, BATCH), ROWS, ROWS, STEP)["prc_same_item"]
    assert float(term.sum / term.count) == pytest.approx(math.log(2 * BATCH - 1), rel=1e-6)
    same = np.zeros((ITEMS, WIDTH), np.float16)
    same[:, 0] = 1
    alike = Snapshots(torch.arange(ITEMS), torch.arange(ITEMS), (same,))
    anchors = torch.zeros(BATCH, WIDTH).index_fill_(1, torch.tensor([0]), 1.0)
    term = contrast_terms([(BankContrast("prc", 1.0, 0.0, 0.1, 0), alike)], anchors, ROWS, ROWS, STEP)[
        "prc_same_item"
    ]
    assert float(term.sum / term.count) == pytest.approx(math.log(2 * BATCH - 1), rel=1e-6)


def test_labels_that_all_differ_are_items():
    contrast = BankContrast("prc", 1.0, 1.0, 0.1, 4)
    held = bank(classes=ITEMS)
    found = contrast_terms([(contrast, held)], vectors(7, BATCH), ROWS, ROWS, STEP)
    assert float(found["prc_same_item"].sum) == pytest.approx(float(found["prc_same_label"].sum), rel=1e-12)


def test_an_anchor_without_positive_is_left_out():
    contrast, held = BankContrast("prc", 1.0, 1.0, 0.1, 0), bank(classes=ITEMS)
    labels = torch.tensor([NO_LABEL, NO_LABEL, 0, 8, 11])
    found = contrast_terms([(contrast, held)], vectors(7, BATCH), ROWS, labels, STEP)
    assert int(found["prc_same_label"].count) == 3, "those without a label have no others of the same"
    none = contrast_terms([(contrast, held)], vectors(7, BATCH), ROWS, torch.full((BATCH,), NO_LABEL), STEP)
    assert float(none["prc_same_label"].sum) == 0.0 and int(none["prc_same_label"].count) == 0


def test_items_beyond_2048_are_told_apart_in_half_precision():
    """An index kept as a float16 would make 4097 and 4098 the same item."""
    held = Snapshots(
        torch.arange(5000), torch.zeros(5000, dtype=torch.int64), (np.ones((5000, 2), np.float16),)
    )
    rows = torch.tensor([4097, 4098, 4099])
    whole, half = (
        contrast_terms([(BankContrast("prc", 1.0, 0.0, 0.1, 0), held)], v, rows, rows * 0, STEP)[
            "prc_same_item"
        ]
        for v in (torch.ones(3, 2), torch.ones(3, 2, dtype=torch.bfloat16))
    )
    assert float(whole.count) == float(half.count) == 3
    official = BankContrast("prc", 1.0, 0.0, 0.1, 0, "official")
    term = contrast_terms([(official, held)], torch.ones(3, 2, dtype=torch.float16), rows, rows * 0, STEP)
    assert float(term["prc_same_item"].count) == 3, "one positive each"


def test_three_banks_at_once_are_each_alone():
    pairs = [
        (BankContrast(name, 0.3, 0.03, 0.1, 6), bank(m)) for name, m in (("prc", 1), ("snc", 3), ("fic", 1))
    ]
    together = contrast_terms(pairs, vectors(7, BATCH), ROWS, ROWS % 3, STEP)
    assert len(together) == 6
    for pair in pairs:
        for name, term in contrast_terms([pair], vectors(7, BATCH), ROWS, ROWS % 3, STEP).items():
            assert float(together[name].sum) == pytest.approx(float(term.sum), rel=1e-12)
    extras = [c.candidates(b, ROWS, ROWS, STEP).rows[-6:].tolist() for c, b in (pairs[0], pairs[2])]
    assert extras[0] != extras[1], "each bank draws items of its own"


def test_divergence_of_equal_scores_is_nothing_and_its_gradient_is_the_difference():
    student, teacher = vectors(1, 4, 3).requires_grad_(), vectors(2, 4, 3)
    assert float(softened_divergence(teacher, teacher, 2.0).abs().max()) < 1e-15
    (found,) = torch.autograd.grad(softened_divergence(student, teacher, 2.0).sum() / 4, student)
    wanted = 2.0 * ((student / 2).softmax(1) - (teacher / 2).softmax(1)) / 4
    torch.testing.assert_close(found, wanted.detach())
    reference = 4.0 * F.kl_div((student / 2).log_softmax(1), (teacher / 2).softmax(1), reduction="batchmean")
    assert softened_divergence(student, teacher, 2.0).mean().item() == pytest.approx(reference.item())


def test_the_items_of_a_bank_are_drawn_once():
    drawn = places_of(Step(seed=3, number=7), 100, 0.1)
    assert len(drawn) == 10 and drawn.tolist() == sorted(set(drawn.tolist()))
    assert torch.equal(drawn, places_of(Step(seed=3, number=12), 100, 0.1)), "whatever the step"
    assert not torch.equal(drawn, places_of(Step(seed=4), 100, 0.1))
    found: Any = Snapshots(drawn, drawn, (np.zeros((10, 1), np.float16),)).find(
        torch.tensor([int(drawn[3]), 101])
    )
    assert found[0].tolist() == [True, False] and found[1].tolist() == [3]
