"""Every setting of every masker: the tags it declares are true, and a row's mask is the row's own."""

from typing import Any

import pytest
import torch
from text_units import ratio, texts
from torch import Tensor

from maskwright import Step
from maskwright.catalogue import catalogue
from maskwright.cli.main import main
from maskwright.planner import Planner
from maskwright.planning import plan
from maskwright_text.params_maskers import PmlmBlocks, Spans, Tokens, Weighted, WholeWord
from maskwright_text.plugin import maskwright_maskers
from maskwright_torch.contracts import Units
from maskwright_torch.masking import counts_of

STEP = Step(seed=5, number=2, total=10)

NAMES = {
    Tokens: "tokens",
    WholeWord: "whole-word",
    Spans: "spans",
    Weighted: "weighted",
    PmlmBlocks: "pmlm-blocks",
}

MASKERS = [
    (Tokens(), {"follows-ratio"}),
    (Tokens(sampling="bernoulli"), {"follows-ratio", "inexact-count"}),
    (Tokens(sampling="stochastic"), {"follows-ratio", "inexact-count"}),
    (Tokens(sampling="upstream"), {"inexact-count"}),
    (WholeWord(), {"follows-ratio", "inexact-count"}),
    (Spans(), {"follows-ratio"}),
    (Spans(words=True), {"follows-ratio", "inexact-count"}),
    (Weighted(), {"follows-ratio", "inexact-count", "stateful"}),
    (Weighted(mode="paper"), {"inexact-count", "stateful"}),
    (Weighted(whole_words=False), {"follows-ratio", "stateful"}),
    (Weighted(source="token-loss"), {"follows-ratio", "inexact-count", "stateful"}),
    (Weighted(source="token-loss", mode="paper", whole_words=False), {"inexact-count", "stateful"}),
    (Weighted(source="frequency"), {"follows-ratio", "inexact-count", "stateful"}),
    (Weighted(source="uniform"), {"follows-ratio", "inexact-count"}),
    (Weighted(source="uniform", whole_words=False, rounding="upstream"), {"inexact-count"}),
    (PmlmBlocks(), {"follows-ratio", "inexact-count"}),
    (PmlmBlocks(whole_words=False), {"follows-ratio", "inexact-count"}),
]
SETTINGS = [params for params, _ in MASKERS]
assert len(SETTINGS) == 17


def built(params: Any) -> Any:
    """With some losses behind it, where it learns from them."""
    masker = params.build()
    if isinstance(params, Weighted):
        masker.set_vocabulary(30)
        numbers = torch.arange(17)
        masker.observe({"tag": numbers, "tokens": numbers}, (numbers % 5).double())
        masker.after_step(STEP)
    return masker


@pytest.mark.parametrize(("params", "tags"), MASKERS)
def test_the_tags_are_true(params: Any, tags: set[str]):
    (component,) = (c for c in maskwright_maskers() if c.name == NAMES[type(params)])
    declared = params.tags() if hasattr(params, "tags") else set()
    assert component.provides | declared == tags | {"torch"}
    units, masker = texts(), built(params)
    found = {share: masker(units, ratio(share, units), STEP) for share in (0.0, 0.15, 0.4, 1.0)}
    follows = not bool(found[0.0].any()) and torch.equal(found[1.0], units.valid)
    assert follows == ("follows-ratio" in tags)
    exact = all(
        torch.equal(hidden.sum(dim=1), counts_of(ratio(share, units), units.valid))
        for share, hidden in found.items()
    )
    assert exact == ("inexact-count" not in tags)


def part(units: Units, rows: Any) -> Units:
    features = {name: values[rows] for name, values in units.features.items()}
    return Units(units.valid[rows], units.grid, units.position, units.rows[rows], features)


@pytest.mark.parametrize("params", SETTINGS)
def test_a_row_has_the_mask_that_it_has_alone_and_without_padding(params: Any):
    masker, units = built(params), texts()
    shares = torch.linspace(0, 1, 40, dtype=torch.float64)
    whole: Tensor = masker(units, shares, STEP)
    assert 0 < int(whole.sum()) < int(units.valid.sum())
    for rows in ([7], [31, 2, 20], list(range(20, 40))):
        assert torch.equal(masker(part(units, rows), shares[rows], STEP), whole[rows])
    padded = masker(texts(padding=9), shares, STEP)
    assert torch.equal(padded[:, :48], whole) and not padded[:, 48:].any()


@pytest.mark.parametrize("params", SETTINGS)
def test_another_step_has_another_mask(params: Any):
    masker, units = built(params), texts()
    masks = [masker(units, ratio(0.4, units), step) for step in (STEP, STEP, STEP.at(3), STEP.fork("b"))]
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2]) and not torch.equal(masks[0], masks[3])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"use": "pmlm-blocks", "longest": 1}, "longest: 1 is less than shortest, 2"),
        ({"use": "tokens", "sampling": "gauss"}, 'found "gauss"'),
        ({"use": "weighted", "source": "pos"}, 'found "pos"'),
        ({"use": "weighted", "momentum": 1.0}, "must be >= 0 and < 1, found 1.0"),
        ({"use": "spans", "stop": 0.0}, "must be > 0 and <= 1, found 0.0"),
    ],
)
def test_settings_that_cannot_be_are_named(settings: dict[str, Any], words: str):
    planner = Planner(catalogue())
    planner.node(settings, ("masker",), "")
    (mistake,) = planner.mistakes
    assert words in str(mistake)


def planned(objective: dict[str, Any]) -> list[str]:
    raw = {"use": "train", "steps": 1, "data": "tied-words", "objective": objective}
    return [str(mistake) for mistake in plan(raw).mistakes]


def test_parts_of_speech_that_the_data_lacks_are_missed_before_anything_is_fitted():
    assert planned({"use": "mlm", "masker": "weighted"}) == [
        "objective.masker: masker:weighted reads the field tags; the data has text\n"
        "use dataset:tagged around the data, which names the part of speech of each word, or source = token-loss"
    ]
    for source in ("token-loss", "frequency", "uniform"):
        assert planned({"use": "mlm", "masker": {"use": "weighted", "source": source}}) == []


def test_a_writer_may_begin_with_a_model_that_was_masked_by_parts_of_speech():
    begun = {"use": "seq2seq", "pretrained": {"use": "mlm", "masker": "weighted"}}
    assert planned(begun) == ["objective: objective:seq2seq reads the field summary; the data has text"]


def test_show_tells_that_parts_of_speech_are_read_by_default(capsys: pytest.CaptureFixture[str]):
    assert main(["show", "masker:weighted"]) == 0
    assert "  reads by its settings: tags, as they are by default\n" in capsys.readouterr().out
