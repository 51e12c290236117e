"""Running losses and the weights made of them."""

import math
from collections.abc import Iterable

import pytest
import torch
from text_models import batch_of, model, sentences

from maskwright import Step
from maskwright.contracts import items_of
from maskwright_text import running_losses, weighted
from maskwright_text.running_losses import RunningLosses, standard_scores
from maskwright_text.upos import UPOS
from maskwright_text.weighted import WeightedMasker
from maskwright_torch.part import load_state, state_of

STEP = Step(seed=5, number=2, total=10)


def after(updates: Iterable[dict[int, float]], classes: int = 4, momentum: float = 0.999) -> RunningLosses:
    """Losses of one token of each class in each step."""
    made = RunningLosses(classes, momentum)
    for update in updates:
        made.observe(torch.tensor(list(update)), torch.tensor(list(update.values()), dtype=torch.float64))
        made.finish_step()
    return made


# -- running losses ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 50, 1000])
def test_a_constant_loss_has_the_closed_form(count: int):
    losses = after([{0: 2.5, 1: 0.3}] * count)
    for number, loss in ((0, 2.5), (1, 0.3)):
        assert abs(float(losses.scores[number]) - loss * (1 - 0.999**count)) < 1e-12
        assert abs(float(losses.corrected()[number]) - loss) < 1e-12
    assert losses.counts.tolist() == [count, count, 0, 0]
    assert losses.corrected().tolist()[2:] == [0.0, 0.0]


def test_a_class_that_is_absent_keeps_its_score_to_the_last_bit():
    losses = after([{0: 1.7, 2: 0.1}] * 3)
    before = losses.scores.clone()
    losses.observe(torch.tensor([1, 1]), torch.tensor([4.0, 2.0]))
    losses.finish_step()
    assert torch.equal(losses.scores[[0, 2, 3]], before[[0, 2, 3]])
    assert float(losses.scores[1]) == pytest.approx(0.001 * 3.0, abs=1e-15), "the mean of the tokens"
    assert losses.counts.tolist() == [3, 1, 3, 0]


def test_several_calls_of_one_step_add_up():
    classes, values = torch.tensor([0, 1, 0, 3, 0]), torch.tensor([1.0, 2.0, 4.0, 0.5, 1.0])
    whole, pieces = RunningLosses(4, 0.9), RunningLosses(4, 0.9)
    whole.observe(classes, values)
    for part in (slice(0, 2), slice(2, 5)):
        pieces.observe(classes[part], values[part])
    before = pieces.scores.clone()
    assert not before.any(), "nothing changes within a step"
    for losses in (whole, pieces):
        losses.finish_step()
        losses.finish_step()  # the sums are used up: a step without losses changes nothing
    assert torch.equal(whole.scores, pieces.scores)
    assert float(whole.scores[0]) == pytest.approx(0.1 * 2.0, abs=1e-12)
    assert pieces.counts.tolist() == [1, 1, 0, 1]


def test_scores_are_not_part_of_the_graph():
    losses = RunningLosses(4, 0.9)
    losses.observe(torch.tensor([1]), torch.tensor([2.0], requires_grad=True))
    losses.finish_step()
    assert float(losses.scores[1]) == pytest.approx(0.2) and not losses.scores.requires_grad


def test_other_processes_have_their_say(monkeypatch: pytest.MonkeyPatch):
    """Another rank saw class 0 three times with a loss of 5 in all, and class 2 once with a loss of 8."""
    theirs = iter([[5.0, 0.0, 8.0, 0.0], [3.0, 0.0, 1.0, 0.0]])
    monkeypatch.setattr(running_losses, "all_sum", lambda own: own.add_(torch.tensor(next(theirs))))
    losses = after([{0: 3.0, 1: 2.0}], momentum=0.5)
    assert losses.scores.tolist() == [0.5 * 2.0, 0.5 * 2.0, 0.5 * 8.0, 0.0]
    assert losses.counts.tolist() == [1, 1, 1, 0]


def updates_until_top(corrected: bool) -> int:
    """Updates of a class seen in one step of 20 with loss 5, the others always with loss 1, until it is on top."""
    losses = RunningLosses(len(UPOS), 0.999)
    usual = torch.tensor([number for number in range(len(UPOS)) if number != 6])
    one = torch.ones(len(usual), dtype=torch.float64)
    for number in range(1, 6001):
        losses.observe(usual, one)
        if number % 20 == 0:
            losses.observe(torch.tensor([6]), torch.tensor([5.0]))
        losses.finish_step()
        scores = losses.corrected() if corrected else losses.scores
        if int(scores.argmax()) == 6:
            return int(losses.counts[6])
    raise AssertionError("never")


def test_a_rare_hard_class_starves_in_the_paper_and_is_seen_at_once_with_correction():
    assert updates_until_top(corrected=True) == 1
    # 5 (1 - m ** k) > 1 from k = 224 on.
    assert 215 <= updates_until_top(corrected=False) <= 230


# -- weights -------------------------------------------------------------------------------------------------

SCORES = torch.tensor([0.3, 2.0, 1.1, 0.9, 1.7], dtype=torch.float64)


def with_scores(scores: torch.Tensor, count: int = 10) -> RunningLosses:
    losses = RunningLosses(len(scores), 0.999)
    losses.scores.copy_(scores)
    losses.counts.fill_(count)
    return losses


def test_weights_are_the_sigmoid_of_standard_scores():
    mean = sum(SCORES.tolist()) / 5
    spread = math.sqrt(sum((s - mean) ** 2 for s in SCORES.tolist()) / 4)
    wanted = [1 / (1 + math.exp(-2 * (s - mean) / spread)) for s in SCORES.tolist()]
    assert with_scores(SCORES).weights("paper", 2.0).tolist() == pytest.approx(wanted, abs=1e-12)
    order = SCORES.argsort()
    assert bool((with_scores(SCORES).weights("corrected", 2.0)[order].diff() > 0).all())


@pytest.mark.parametrize("mode", ["paper", "corrected"])
def test_weights_do_not_depend_on_the_scale_of_losses(mode: running_losses.Mode):
    own = with_scores(SCORES).weights(mode, 2.0)
    for a, b in ((3.0, 0.0), (0.01, 0.0), (1.0, 5.0), (7.0, -2.0)):
        other = with_scores(a * SCORES + b).weights(mode, 2.0)
        assert float((own - other).abs().max()) < 1e-9


@pytest.mark.parametrize("mode", ["paper", "corrected"])
@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 1e3])
def test_equal_classes_weigh_one_half(mode: running_losses.Mode, value: float):
    """The mean of 17 times 0.1 is not 0.1 in floating point; that must not count as a difference."""
    weights = with_scores(torch.full((17,), value, dtype=torch.float64)).weights(mode, 2.0)
    assert float((weights - 0.5).abs().max()) < 1e-9
    assert with_scores(SCORES).weights(mode, 0.0).tolist() == [0.5] * 5


def test_a_class_never_seen_is_average_with_correction_and_easy_in_the_paper():
    losses = after([{0: 4.0, 1: 2.0}])
    assert losses.weights("corrected", 2.0).tolist()[2:] == [0.5, 0.5]
    two = standard_scores(torch.tensor([4.0, 2.0], dtype=torch.float64), torch.ones(2))
    assert losses.weights("corrected", 1.0)[:2].tolist() == pytest.approx(two.sigmoid().tolist(), abs=1e-12)
    paper = losses.weights("paper", 2.0)
    assert float(paper[2]) < 0.5 and int(paper.argmin()) >= 2
    assert RunningLosses(4, 0.999).weights("corrected", 2.0).tolist() == [0.5] * 4
    assert after([{2: 3.0}]).weights("corrected", 2.0).tolist() == [0.5] * 4, "one class alone"


# -- what the masker makes of them -----------------------------------------------------------------------------


def test_the_masker_learns_from_the_hidden_tokens_after_the_step():
    masker = WeightedMasker(momentum=0.5)
    assert masker.features == ("word", "tag")
    tags = {"word": torch.tensor([0, 0, 3]), "tag": torch.tensor([7, 7, 2])}
    masker.observe(tags, torch.tensor([1.0, 3.0, 9.0]))
    assert masker.weights().tolist() == [0.5] * len(UPOS)
    masker.after_step(STEP)
    assert masker.table() == [
        {
            "class": "ADV",
            "score": 9.0,
            "weight": pytest.approx(1 / (1 + math.exp(-math.sqrt(2)))),
            "count": 1,
        },
        {
            "class": "NOUN",
            "score": 2.0,
            "weight": pytest.approx(1 / (1 + math.exp(math.sqrt(2)))),
            "count": 1,
        },
    ]


def test_score_and_weight_of_each_part_of_speech_are_logged():
    masker = WeightedMasker(momentum=0.5)
    masker.observe({"tag": torch.tensor([2, 7])}, torch.tensor([9.0, 1.0]))
    masker.after_step(STEP)
    logged = {name: float(value) for name, value in masker.for_log().items()}
    assert logged.keys() == {f"{word}/{name}" for word in ("score", "weight") for name in UPOS}
    assert [logged[f"score/{name}"] for name in ("ADV", "NOUN", "X")] == [9.0, 1.0, 0.0]
    assert [logged[f"weight/{name}"] for name in ("ADV", "NOUN", "X")] == pytest.approx(
        [1 / (1 + math.exp(-math.sqrt(2))), 1 / (1 + math.exp(math.sqrt(2))), 0.5]
    )
    paper = WeightedMasker(mode="paper", momentum=0.5)
    paper.observe({"tag": torch.tensor([2])}, torch.tensor([9.0]))
    paper.after_step(STEP)
    assert float(paper.for_log()["score/ADV"]) == 4.5, "the scores that the weights are made of"


@pytest.mark.parametrize("source", ["token-loss", "frequency", "uniform"])
def test_tokens_are_too_many_for_the_log(source):
    masker = WeightedMasker(source)
    masker.set_vocabulary(30)
    assert masker.for_log() == {}


def test_the_objective_logs_what_its_masker_goes_by():
    subject = model(masker={"use": "weighted", "momentum": 0.5}, ratio=0.4)
    batch = batch_of(subject, list(items_of(sentences(), "test", Step())))
    subject.train()
    before = subject(batch, STEP).parts
    subject.masker.after_step(STEP)
    after = subject(batch, STEP).parts
    assert [float(parts["weight/NOUN"]) for parts in (before, after)] == [
        0.5, float(subject.masker.weights()[UPOS.index("NOUN")]),
    ]  # fmt: skip
    assert float(after["score/NOUN"]) > 0.0 == float(before["score/NOUN"])


def test_the_log_of_the_paper_mode_has_its_own_scores():
    masker = WeightedMasker(mode="paper", momentum=0.5)
    masker.observe({"tag": torch.tensor([2])}, torch.tensor([9.0]))
    masker.after_step(STEP)
    (row,) = masker.table()
    assert (row["class"], row["score"], row["count"]) == ("ADV", 4.5, 1)


def test_what_it_knows_is_saved_and_what_a_step_gathered_is_not():
    masker = WeightedMasker("token-loss", whole_words=False)
    masker.set_vocabulary(30)
    assert masker.features == ("tokens",)
    masker.observe({"tokens": torch.tensor([3, 29])}, torch.tensor([2.0, 1.0]))
    masker.after_step(STEP)
    masker.observe({"tokens": torch.tensor([4])}, torch.tensor([2.0]))
    tensors, _ = state_of(masker)
    assert sorted(tensors) == ["losses.counts", "losses.scores"]
    other = WeightedMasker("token-loss")
    other.set_vocabulary(30)
    load_state(other, tensors, "here")
    assert torch.equal(other.weights(), masker.weights())
    assert [row["class"] for row in other.table()] == [3, 29]


def test_frequencies_are_counted_in_training_and_from_the_next_step_on(monkeypatch: pytest.MonkeyPatch):
    from text_units import ratio, same_rows

    masker = WeightedMasker("frequency", whole_words=False, power=0.5)
    masker.set_vocabulary(6)
    units = same_rows([-1, 0, 1, 2, -1], 4, tokens=[0, 3, 3, 5, 0])
    masker.eval()
    masker(units, ratio(0.5, units), STEP)
    masker.after_step(STEP)
    assert masker.table() == [], "evaluation leaves no trace"
    masker.train()
    masker(units, ratio(0.5, units), STEP)
    assert masker.weights().tolist() == [1.0] * 6
    monkeypatch.setattr(weighted, "all_sum", lambda own: own.mul_(2))  # two ranks that saw the same
    masker.after_step(STEP)
    masker.after_step(STEP)  # used up
    assert masker.weights().tolist() == [1, 1, 1, 17**-0.5, 1, 9**-0.5]
    assert masker.table() == [
        {"class": 5, "score": 8.0, "weight": 9**-0.5, "count": 8},
        {"class": 3, "score": 16.0, "weight": 17**-0.5, "count": 16},
    ]
    assert [row["class"] for row in masker.table(most=1)] == [5]
    assert sorted(state_of(masker)[0]) == ["seen"]


def test_uniform_has_nothing_to_learn():
    masker = WeightedMasker("uniform")
    masker.set_vocabulary(30)
    masker.observe({"word": torch.tensor([0])}, torch.tensor([2.0]))
    masker.after_step(STEP)
    assert masker.table() == [] and masker.state_dict() == {} and masker.features == ("word",)
