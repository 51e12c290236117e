"""Maskers of tokens, whole words and spans: counts, chance, and equality with plain walks."""

import math

import attrs
import pytest
import torch
from text_units import SPECIAL, chi_square, ratio, same_rows, texts, units_of, words_in
from torch import Tensor

from maskwright import Step
from maskwright_text.maskers import SpanMasker, TokenMasker, WholeWordMasker
from maskwright_text.word_groups import fill_budget, groups_of
from maskwright_torch.maskers import RandomMasker
from maskwright_torch.noise import uniform

STEP = Step(seed=5, number=2, total=10)

SHARES = [0.0, 0.02, 0.15, 0.4, 0.77, 1.0]


def half_up(x: float) -> int:
    return math.floor(x + 0.5)


# -- tokens --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", SHARES)
def test_exact_tokens_are_the_random_masker(share: float):
    units = texts()
    hidden = TokenMasker()(units, ratio(share, units), STEP)
    assert torch.equal(hidden, RandomMasker()(units, ratio(share, units), STEP))
    assert hidden.sum(dim=1).tolist() == [half_up(share * n) for n in units.valid.sum(dim=1).tolist()]


def test_bernoulli_hides_each_token_by_itself():
    units = same_rows([SPECIAL, 0, 1, 2, 3, SPECIAL], 20_000)
    hidden = TokenMasker("bernoulli")(units, ratio(0.3, units), STEP)
    assert not hidden[:, [0, 5]].any()
    patterns = (hidden[:, 1:5].long() * torch.tensor([8, 4, 2, 1])).sum(dim=1)
    ones = torch.tensor([bin(n).count("1") for n in range(16)])
    shares = 0.3**ones * 0.7 ** (4 - ones)
    # 15 degrees of freedom, at the 1e-4 level.
    assert chi_square(torch.bincount(patterns, minlength=16), shares) < 45


def test_stochastic_rounding_keeps_the_mean():
    """0.02 of 24 tokens: always none without it, 0.48 on average with it."""
    units = same_rows(list(range(24)), 10_000)
    assert not TokenMasker()(units, ratio(0.02, units), STEP).any()
    counts = TokenMasker("stochastic")(units, ratio(0.02, units), STEP).sum(dim=1).double()
    assert set(counts.tolist()) == {0.0, 1.0}
    assert abs(counts.mean() - 0.48) < 4 * math.sqrt(0.48 * 0.52 / 10_000)
    counts = TokenMasker("stochastic")(units, ratio(0.3, units), STEP).sum(dim=1).double()
    assert set(counts.tolist()) == {7.0, 8.0}
    assert abs(counts.mean() - 7.2) < 4 * math.sqrt(0.2 * 0.8 / 10_000)


def test_upstream_counts_special_tokens_hides_at_least_one_and_at_most_512():
    lengths = [3, 5, 18, 64, 700, 1400]
    words = [[SPECIAL, *range(n - 2), SPECIAL] + [SPECIAL] * (1400 - n) for n in lengths]
    real = torch.arange(1400) < torch.tensor(lengths)[:, None]
    units = units_of(words, real=real)
    for share in (0.0, 0.15, 0.25, 0.6):
        counts = TokenMasker("upstream")(units, ratio(share, units), STEP).sum(dim=1)
        assert counts.tolist() == [min(512, n - 2, max(1, round(n * share))) for n in lengths]


# -- whole words ---------------------------------------------------------------------------------------------


def plain_walk(scores: list[float], sizes: list[int], budget: int) -> list[bool]:
    """The walk as the paper tells it: one group after the other, taken if it still fits."""
    walk = sorted((score, group) for group, score in enumerate(scores) if sizes[group])
    taken, left = [False] * len(sizes), budget
    for _, group in walk:
        if sizes[group] <= left:
            taken[group] = True
            left -= sizes[group]
    if walk and budget and not any(taken):
        taken[walk[0][1]] = True
    return taken


@pytest.mark.parametrize("largest", [1, 3, 9, 30])
def test_filling_a_budget_equals_the_plain_walk(largest: int):
    rows = torch.arange(300)
    sizes = (uniform(1, rows, 25) * (largest + 1)).long()
    budget = (uniform(2, rows, 1)[:, 0] * (sizes.sum(dim=1) + 2)).long()
    # Coarse scores: of equal ones the first group comes first.
    scores = (uniform(3, rows, 25) * 40).floor()
    taken = fill_budget(scores, sizes, budget)
    columns = zip(scores.tolist(), sizes.tolist(), budget.tolist(), strict=True)
    assert taken.tolist() == [plain_walk(*row) for row in columns]


@pytest.mark.parametrize("share", SHARES)
def test_whole_words_equal_the_plain_walk_over_words(share: float):
    units = texts()
    hidden = WholeWordMasker()(units, ratio(share, units), STEP)
    order = uniform(STEP.stream("mask"), units.rows, 48)
    for row in range(len(hidden)):
        words = words_in(units, row)
        budget = half_up(share * float(units.valid[row].sum()))
        taken = plain_walk(order[row, : len(words)].tolist(), [len(word) for word in words], budget)
        wanted = {place for word, take in zip(words, taken, strict=True) if take for place in word}
        assert set(hidden[row].nonzero()[:, 0].tolist()) == wanted


def test_a_word_larger_than_the_budget_is_hidden_alone():
    units = same_rows([SPECIAL, 0, 0, 0, 0, 1, 1, 1, 1, SPECIAL], 200)
    hidden = WholeWordMasker()(units, ratio(0.15, units), STEP)
    assert {tuple(row) for row in hidden.long().tolist()} == {
        (0, 1, 1, 1, 1, 0, 0, 0, 0, 0),
        (0, 0, 0, 0, 0, 1, 1, 1, 1, 0),
    }
    assert not WholeWordMasker()(units, ratio(0.05, units), STEP).any(), "a budget of none"


def test_a_word_longer_than_the_budget_is_passed_over_while_shorter_ones_fit():
    """0.15 of 20 is 3: the word of four tokens is never hidden, though there is room for three of it."""
    units = same_rows([0, 0, 0, 0, *range(1, 17)], 200)
    hidden = WholeWordMasker()(units, ratio(0.15, units), STEP)
    assert not hidden[:, :4].any()
    assert set(hidden.sum(dim=1).tolist()) == {3} and bool(hidden[:, 4:].any(dim=0).all())
    one = WholeWordMasker()(units, ratio(0.03, units), STEP)
    assert set(one[:, 4:].sum(dim=1).tolist()) == {1}, "a budget of 1 has room for words of one token only"


def test_a_special_token_parts_words_of_the_same_number():
    groups = groups_of(units_of([[0, 0, SPECIAL, 0, 1, SPECIAL], [SPECIAL] * 6]), whole_words=True)
    assert groups.of.tolist() == [[0, 0, -1, 1, 2, -1], [-1] * 6]
    assert groups.sizes.tolist() == [[2, 1, 1], [0, 0, 0]]
    assert groups.ahead().tolist()[0] == [1, 2, 1]
    within = attrs.evolve(units_of([[0, 0, 0, 0]]), valid=torch.tensor([[True, False, True, True]]))
    assert groups_of(within, whole_words=True).of.tolist() == [[0, -1, 1, 1]], "though it has a word's number"


def test_words_of_one_size_are_hidden_equally_often():
    units = same_rows([0, 0, 1, 1, 2, 2, 3, 3], 20_000)
    counts = WholeWordMasker()(units, ratio(0.25, units), STEP)[:, ::2].sum(dim=0)
    # 3 degrees of freedom, at the 1e-4 level.
    assert chi_square(counts, torch.full((4,), 0.25)) < 21.1


# -- spans ---------------------------------------------------------------------------------------------------


def test_span_lengths_are_geometric_up_to_the_longest():
    draws = uniform(1, torch.arange(1000), 100)
    counts = torch.bincount(SpanMasker().lengths(draws).flatten(), minlength=11)
    assert counts[0] == 0 and len(counts) == 11
    shares = 0.2 * 0.8 ** torch.arange(10).double()
    # 9 degrees of freedom, at the 1e-4 level.
    assert chi_square(counts[1:], shares / shares.sum()) < 33.8
    assert abs(float(SpanMasker().lengths(draws).double().mean()) - 3.8) < 0.05, "as SpanBERT reports"
    assert set(SpanMasker(stop=1.0).lengths(draws).flatten().tolist()) == {1}
    assert set(SpanMasker(stop=0.01, longest=1).lengths(draws).flatten().tolist()) == {1}


def plain_spans(groups: list[list[int]], rank: list[float], lengths: list[int]) -> list[float]:
    """For each group the best rank of a span over it; a span ends where tokens stop being neighbours."""
    best = [math.inf] * len(groups)
    for start in range(len(groups)):
        for place in range(start, min(start + lengths[start], len(groups))):
            if place > start and groups[place][0] != groups[place - 1][-1] + 1:
                break
            best[place] = min(best[place], rank[start])
    return best


@pytest.mark.parametrize("words", [False, True])
@pytest.mark.parametrize("share", SHARES)
def test_spans_equal_plain_ones(words: bool, share: float):
    units, masker = texts(), SpanMasker(words=words)
    hidden = masker(units, ratio(share, units), STEP)
    rank = uniform(STEP.stream("mask"), units.rows, 48)
    lengths = masker.lengths(uniform(STEP.stream("lengths"), units.rows, 48))
    for row in range(len(hidden)):
        groups = words_in(units, row)
        if not words:
            groups = [[place] for group in groups for place in group]
        best = plain_spans(groups, rank[row].tolist(), lengths[row].tolist())
        budget = half_up(share * float(units.valid[row].sum()))
        taken = plain_walk(best, [len(group) for group in groups], budget)
        wanted = {place for group, take in zip(groups, taken, strict=True) if take for place in group}
        assert set(hidden[row].nonzero()[:, 0].tolist()) == wanted


def runs(hidden: Tensor) -> float:
    """Mean length of the runs of hidden tokens."""
    starts = hidden.clone()
    starts[:, 1:] &= ~hidden[:, :-1]
    return float(hidden.sum() / starts.sum())


def test_spans_hide_neighbours():
    units = same_rows(list(range(100)), 200)
    spans = runs(SpanMasker()(units, ratio(0.15, units), STEP))
    assert spans > 2.5 * runs(TokenMasker()(units, ratio(0.15, units), STEP))
