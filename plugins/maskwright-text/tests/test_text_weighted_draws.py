"""What weighted maskers hide: in law, against whole words, against the paper's walk."""

import math
from collections.abc import Mapping

import pytest
import torch
from text_units import SPECIAL, chi_square, ratio, same_rows, texts, units_of, words_in
from torch import Tensor

from maskwright import Step, UserError
from maskwright_text.maskers import TokenMasker, WholeWordMasker
from maskwright_text.running_losses import Mode
from maskwright_text.weighted import Source, WeightedMasker
from maskwright_torch.contracts import Units
from maskwright_torch.masking import choose
from maskwright_torch.noise import uniform

STEP = Step(seed=5, number=2, total=10)
DRAWS = 100_000


def tag_masker(weights: Mapping[int, float], **settings: object) -> WeightedMasker:
    """With these weights of parts of speech, by scores whose sigmoid they are; 0.5 for the others."""
    masker = WeightedMasker("pos-loss", **settings)  # type: ignore[arg-type]
    found = torch.full((17,), 0.5, dtype=torch.float64)
    for tag, weight in weights.items():
        found[tag] = weight
    masker.weights = lambda: found  # type: ignore[method-assign]
    return masker


WEIGHTS = {0: 0.9, 1: 0.1, 2: 0.4, 3: 0.2}
TOTAL = sum(WEIGHTS.values())


def test_one_word_is_drawn_in_proportion_to_its_weight():
    units = same_rows([SPECIAL, 0, 1, 2, 3, SPECIAL], DRAWS, tag=[SPECIAL, 0, 1, 2, 3, SPECIAL])
    hidden = tag_masker(WEIGHTS)(units, ratio(0.25, units), STEP)
    assert not hidden[:, [0, 5]].any() and bool((hidden.sum(dim=1) == 1).all())
    shares = torch.tensor(list(WEIGHTS.values()), dtype=torch.float64) / TOTAL
    # 3 degrees of freedom, at the 1e-4 level.
    assert chi_square(hidden[:, 1:5].sum(dim=0), shares) < 21.1


def test_equal_weights_draw_each_word_equally_often():
    units = same_rows([0, 1, 2, 3], DRAWS, tag=[0, 1, 2, 3])
    hidden = tag_masker(dict.fromkeys(WEIGHTS, 0.3))(units, ratio(0.25, units), STEP)
    assert chi_square(hidden.sum(dim=0), torch.full((4,), 0.25)) < 21.1


def test_words_without_weight_come_last_and_in_random_order():
    """A weight may be too small for floating point."""
    units = same_rows([0, 1, 2, 3], 20_000, tag=[0, 1, 2, 3])
    hidden = tag_masker({0: 1e-3, 1: 0.0, 2: 0.0, 3: 0.0})(units, ratio(0.5, units), STEP)
    assert bool(hidden[:, 0].all())
    # 2 degrees of freedom, at the 1e-4 level.
    assert chi_square(hidden[:, 1:].sum(dim=0), torch.full((3,), 1 / 3)) < 18.4


def test_two_words_are_drawn_as_one_after_the_other_without_replacement():
    units = same_rows([0, 1, 2, 3], DRAWS, tag=[0, 1, 2, 3])
    hidden = tag_masker(WEIGHTS)(units, ratio(0.5, units), STEP)
    pairs = [(a, b) for a in range(4) for b in range(a + 1, 4)]
    counts = torch.tensor([float((hidden[:, a] & hidden[:, b]).sum()) for a, b in pairs])
    w = WEIGHTS
    shares = [w[a] / TOTAL * w[b] / (TOTAL - w[a]) + w[b] / TOTAL * w[a] / (TOTAL - w[b]) for a, b in pairs]
    assert sum(shares) == pytest.approx(1) and float(counts.sum()) == DRAWS
    # 5 degrees of freedom, at the 1e-4 level.
    assert chi_square(counts, torch.tensor(shares, dtype=torch.float64)) < 25.8


@pytest.mark.parametrize("share", [0.0, 0.15, 0.5, 1.0])
def test_without_preference_it_is_whole_word_masking(share: float):
    units = texts()
    words = WholeWordMasker()(units, ratio(share, units), STEP)
    uniform_weights = WeightedMasker("uniform")
    assert torch.equal(uniform_weights(units, ratio(share, units), STEP), words)
    blunt = WeightedMasker(sharpness=0.0)
    blunt.observe({"tag": torch.tensor([1, 2])}, torch.tensor([1.0, 9.0]))
    blunt.after_step(STEP)
    assert torch.equal(blunt(units, ratio(share, units), STEP), words)
    line = same_rows(list(range(20)), 50)
    tokens = WeightedMasker("uniform", whole_words=False)(line, ratio(share, line), STEP)
    assert torch.equal(tokens, TokenMasker()(line, ratio(share, line), STEP))


def test_accepting_every_word_is_whole_word_masking():
    """Words of one or two tokens: one always fits, so that hiding a word too large does not come into it."""
    units = same_rows([SPECIAL, 0, 0, 1, 2, 2, 3, 4, 5, 5, SPECIAL], 500)
    hidden = WeightedMasker("uniform", mode="paper")(units, ratio(0.4, units), STEP)
    assert torch.equal(hidden, WholeWordMasker()(units, ratio(0.4, units), STEP))


def plain_paper(words: list[list[int]], order: list[float], accepted: list[bool], budget: int) -> set[int]:
    """Words in the order of their draw; each accepted one is hidden if it still fits."""
    hidden: set[int] = set()
    for number in sorted(range(len(words)), key=lambda number: order[number]):
        if accepted[number] and len(hidden) + len(words[number]) <= budget:
            hidden.update(words[number])
    return hidden


@pytest.mark.parametrize("share", [0.05, 0.15, 0.6, 1.0])
def test_the_paper_mode_equals_the_plain_walk(share: float):
    units, weights = texts(), {7: 0.9, 3: 0.05, 12: 0.3}
    hidden = tag_masker(weights, mode="paper")(units, ratio(share, units), STEP)
    order = uniform(STEP.stream("mask"), units.rows, 48)
    chance = uniform(STEP.fork("accept").stream("mask"), units.rows, 48)
    for row in range(len(hidden)):
        words = words_in(units, row)
        tags = [int(units.features["tag"][row, word[0]]) for word in words]
        accepted = [float(chance[row, n]) < weights.get(tag, 0.5) for n, tag in enumerate(tags)]
        budget = math.floor(share * float(units.valid[row].sum()) + 0.5)
        wanted = plain_paper(words, order[row].tolist(), accepted, budget)
        assert set(hidden[row].nonzero()[:, 0].tolist()) == wanted


def test_the_paper_walk_runs_out_of_words_where_the_corrected_one_fills_the_count():
    units = same_rows([0, 1, 2, 3], 20_000, tag=[0, 1, 2, 3])
    paper = tag_masker(WEIGHTS, mode="paper")(units, ratio(1.0, units), STEP)
    # Each word is visited once and accepted with its weight: 0.4 of the words on average instead of all.
    for tag, weight in WEIGHTS.items():
        error = math.sqrt(weight * (1 - weight) / 20_000)
        assert abs(float(paper[:, tag].double().mean()) - weight) < 4 * error
    assert float(paper.double().mean()) < 0.41
    assert bool(tag_masker(WEIGHTS)(units, ratio(1.0, units), STEP).all())


def test_the_weight_of_a_word_is_the_mean_of_its_tokens():
    masker = WeightedMasker("token-loss")
    masker.set_vocabulary(4)
    masker.weights = lambda: torch.tensor([0.9, 0.1, 0.2, 0.3], dtype=torch.float64)  # type: ignore
    units = same_rows([0, 0, 1, 1], DRAWS, tokens=[0, 1, 2, 3])
    first = masker(units, ratio(0.5, units), STEP)[:, 0]
    assert abs(float(first.double().mean()) - 0.5 / 0.75) < 4 * math.sqrt(2 / 9 / DRAWS)


def test_rare_tokens_are_hidden_more_often():
    masker = WeightedMasker("frequency", whole_words=False).train()
    masker.set_vocabulary(3)
    units = same_rows([0, 1, 2, 3], 1000, tokens=[1, 1, 1, 2])
    masker(units, ratio(0.25, units), STEP)
    masker.after_step(STEP)
    hidden = masker.eval()(units, ratio(0.25, units), STEP.at(3))
    rare, usual = 1001**-0.5, 3001**-0.5
    wanted = rare / (rare + 3 * usual)
    error = math.sqrt(wanted * (1 - wanted) / 1000)
    assert abs(float(hidden[:, 3].double().mean()) - wanted) < 4 * error


@pytest.mark.parametrize("scale", [1, 100, 10_000])
def test_in_the_paper_mode_frequencies_hide_as_much_late_in_training_as_early(scale: int):
    """A word is accepted with its share of the largest weight in its text; tokens never seen elsewhere play no part."""
    masker = WeightedMasker("frequency", mode="paper").eval()
    masker.set_vocabulary(6)
    counts = torch.tensor([1, 4, 16, 100])
    masker.seen[:4] = counts * scale - 1
    units = same_rows([0, 1, 2, 3], 20_000, tokens=[0, 1, 2, 3])
    hidden = masker(units, ratio(1.0, units), STEP)
    for place, wanted in enumerate((1.0, 0.5, 0.25, 0.1)):
        error = math.sqrt(wanted * (1 - wanted) / 20_000)
        assert abs(float(hidden[:, place].double().mean()) - wanted) <= 4 * error


# -- what does not fit ---------------------------------------------------------------------------------------


class Batches:
    """An encoder, as far as masking goes."""

    def units(self, batch: Mapping[str, Tensor]) -> Units:
        count = batch["word"].shape[1]
        return Units(batch["word"] >= 0, (count,), torch.arange(count), batch["rows"])


def test_parts_of_speech_that_are_missing_say_where_they_come_from():
    batch = {"word": torch.tensor([[0, 1]]), "rows": torch.tensor([0])}
    with pytest.raises(UserError, match="the masker wants tag for each unit") as caught:
        choose(Batches(), WeightedMasker(), lambda progress, u: 0.5, batch, STEP)  # type: ignore[arg-type]
    assert caught.value.what.endswith("the batch has only rows, word")
    assert caught.value.cure == (
        "use dataset:tagged around the data, which names the part of speech of each word, or source = token-loss"
    )


@pytest.mark.parametrize("tag", [-1, 17])
def test_a_word_without_a_part_of_speech_is_refused(tag: int):
    units = same_rows([SPECIAL, 0, 1], 2, tag=[SPECIAL, 7, tag])
    with pytest.raises(UserError) as caught:
        WeightedMasker()(units, ratio(0.5, units), STEP)
    assert caught.value.what == f"2 tokens have the part of speech {tag}, there are 0 to 16"
    assert caught.value.where == "masker.source = pos-loss"
    assert "X where there is no other" in caught.value.cure


@pytest.mark.parametrize("source", ["token-loss", "frequency"])
def test_a_token_beyond_the_vocabulary_is_refused(source: Source):
    masker = WeightedMasker(source)
    masker.set_vocabulary(6)
    units = same_rows([SPECIAL, 0, 1], 2, tokens=[99, 5, 6])
    with pytest.raises(UserError) as caught:
        masker(units, ratio(0.5, units), STEP)
    assert caught.value.what == "token 6 is beyond the 6 tokens that the masker knows"
    assert caught.value.where == f"masker.source = {source}"
    assert caught.value.cure.startswith("set_vocabulary(size)")


@pytest.mark.parametrize("source", ["token-loss", "frequency"])
def test_the_class_of_a_special_token_is_never_looked_up(source: Source):
    masker = WeightedMasker(source)
    masker.set_vocabulary(6)
    units = same_rows([SPECIAL, 0, 1, SPECIAL], 2, tokens=[99, 5, 0, -1])
    hidden = masker(units, ratio(1.0, units), STEP)
    masker.after_step(STEP)
    assert hidden.tolist() == [[False, True, True, False]] * 2
    assert [row["class"] for row in masker.table()] == ([0, 5] if source == "frequency" else [])


@pytest.mark.parametrize("mode", ["corrected", "paper"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.15, 0.25, 0.6])
def test_upstream_rounding_is_that_of_the_official_collator(mode: Mode, share: float):
    """max(1, round(length * ratio)), special tokens counted, and no more than 512."""
    lengths = [3, 5, 18, 64, 700, 1400]
    words = [[SPECIAL, *range(n - 2), SPECIAL] + [SPECIAL] * (1400 - n) for n in lengths]
    units = units_of(words, real=torch.arange(1400) < torch.tensor(lengths)[:, None])
    masker = WeightedMasker("uniform", mode=mode, rounding="upstream")
    counts = masker(units, ratio(share, units), STEP).sum(dim=1)
    assert counts.tolist() == [min(512, n - 2, max(1, round(n * share))) for n in lengths]
    exact = WeightedMasker("uniform", mode=mode)(units, ratio(share, units), STEP).sum(dim=1)
    assert exact.tolist() == [math.floor(share * (n - 2) + 0.5) for n in lengths]
