"""Pieces of a batch add up to the batch: gradients, logged values, several terms, dropout's streams."""

import pytest
import torch
from toys import Numbers, Regression, prepare

from maskwright import Step, UserError
from maskwright_torch.batches import collate, cut
from maskwright_torch.device import compute_for
from maskwright_torch.gradients import Worth, backward, seed_modules
from maskwright_torch.loop import Window
from maskwright_torch.ranks import Ranks, all_sum

STEP = Step(seed=2, number=3, total=10)


def worth_of(objective: Regression, pieces: int) -> tuple[Worth, dict[str, torch.Tensor]]:
    """What `pieces` of one batch of 13 rows give, and the gradients."""
    data = Numbers()
    compute = compute_for("cpu", "fp64")
    compute.place(objective)
    made = [
        collate([data.item("train", i, STEP) for i in rows], rows, prepare, STEP)
        for rows in cut(list(range(13)), pieces)
    ]
    objective.zero_grad()
    worth = backward(objective, objective, made, STEP, compute, Ranks())
    return worth, {name: p.grad.clone() for name, p in objective.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("terms", [1, 2])
@pytest.mark.parametrize("pieces", [2, 5, 13])
def test_pieces_equal_the_whole(terms: int, pieces: int):
    whole, gradient = worth_of(Regression(terms), 1)
    parts, summed = worth_of(Regression(terms), pieces)
    assert parts.loss == pytest.approx(whole.loss, rel=1e-12)
    assert parts.terms == pytest.approx(whole.terms, rel=1e-12)
    assert parts.parts == pytest.approx(whole.parts, rel=1e-12)
    assert summed.keys() == gradient.keys()
    assert gradient
    for name, value in gradient.items():
        assert torch.allclose(summed[name], value, rtol=1e-10, atol=1e-14), name


def test_the_gradient_is_that_of_the_mean_over_all_items():
    """Mean over hidden units of the batch, not the mean of the pieces' means: their counts differ."""
    objective = Regression().double()
    data = Numbers()
    batch = collate([data.item("train", i, STEP) for i in range(13)], range(13), prepare, STEP)
    loss = objective(batch, STEP)
    (term,) = loss.terms.values()
    wanted = torch.autograd.grad(term.sum / term.count, list(objective.parameters()))
    _, summed = worth_of(Regression(), 4)
    for (name, _), value in zip(objective.named_parameters(), wanted, strict=True):
        assert torch.allclose(summed[name], value, rtol=1e-10, atol=1e-14), name
    means = [
        float(objective({k: v[i : i + 1] for k, v in batch.items()}, STEP).value.detach()) for i in range(4)
    ]
    assert len(set(means)) > 1, "the rows must differ, or this test could not fail"


def test_weights_of_terms_count():
    whole, _ = worth_of(Regression(2), 1)
    assert whole.loss == pytest.approx(whole.terms["hidden"] + 0.3 * whole.terms["first"], rel=1e-12)


def test_several_terms_without_counts_cannot_be_accumulated():
    with pytest.raises(UserError, match="losses hidden, first and cannot tell their counts") as caught:
        worth_of(Regression(2, can_count=False), 2)
    assert "accumulate=1" in caught.value.cure
    worth_of(Regression(2, can_count=False), 1)


def test_modules_draw_from_streams_of_step_rank_and_piece():
    def draw(step: Step, rank: int = 0, piece: int = 0) -> list[float]:
        seed_modules(step, rank, piece)
        return torch.nn.functional.dropout(torch.ones(64)).tolist()

    first = draw(STEP)
    assert draw(STEP) == first
    others = [draw(STEP.at(4)), draw(STEP, rank=1), draw(STEP, piece=1), draw(Step(3, 3, 10))]
    assert first not in others
    assert len({tuple(other) for other in others}) == 4


def test_bf16_autocast_computes_in_bf16_and_keeps_float32_weights():
    objective = Regression()
    compute = compute_for("cpu", "bf16")
    seen = []
    objective.inner[0].register_forward_hook(lambda module, given, out: seen.append(out.dtype))
    data = Numbers()
    batch = collate([data.item("train", i, STEP) for i in range(4)], range(4), prepare, STEP)
    backward(objective, objective, [batch], STEP, compute, Ranks())
    assert seen == [torch.bfloat16]
    assert objective.inner[0].weight.grad.dtype == torch.float32


def test_an_unknown_device_is_one_clear_error():
    with pytest.raises(UserError, match='"cuda:7" is not available') as caught:
        compute_for("cuda:7", "fp32")
    assert "device=auto" in caught.value.cure


def test_the_window_means_what_was_logged():
    window = Window()
    for values in ({"a": 1.0}, {"a": 3.0, "b": 4.0}):
        window.add(values, {"tokens": 3.0})
    assert window.take() == {"a": 2.0, "b": 4.0, "tokens": 6.0}
    assert window.take() == {"tokens": 6.0}, "a sum over the whole run"


def test_alone_sums_over_ranks_are_the_thing_itself():
    tensor = torch.tensor([1.0, 2.0])
    assert torch.equal(all_sum(tensor), tensor)
    assert Ranks().any(True) and not Ranks().any(False)
    assert Ranks().text_from_first("abc") == "abc"
