"""objective:mlm where there is nothing to predict, and settings that make no sense."""

from pathlib import Path

import pytest
import torch
from text_models import SENTENCES, batch_of, model, sentences, tagged

from maskwright import Step, api
from maskwright.errors import RecipeError, UserError
from maskwright_torch.device import compute_for
from maskwright_torch.gradients import backward
from maskwright_torch.ranks import Ranks

EMPTY = tagged(9, "")


def gradients(subject, pieces):
    """What a step is worth, and the gradients it leaves."""
    subject.zero_grad()
    worth = backward(subject, subject, pieces, Step(), compute_for("cpu", "fp32"), Ranks())
    return worth, {name: p.grad.clone() for name, p in subject.named_parameters() if p.grad is not None}


def test_a_text_without_tokens_brings_no_loss_and_disturbs_no_other():
    subject = model(ratio=0.5).requires_grad_(False)
    alone = batch_of(subject, [tagged(0, SENTENCES[0])])
    beside = batch_of(subject, [tagged(0, SENTENCES[0]), EMPTY])
    loss = subject(beside, Step())
    assert not bool(subject.choose(beside, Step())[1].any())
    assert float(loss.value) == pytest.approx(float(subject(alone, Step()).value), abs=1e-6)
    assert loss.parts["hidden_tokens"] == 5 / 2, "the empty one counts as a text with none"
    assert all(bool(torch.isfinite(part)) for part in loss.parts.values())


@pytest.mark.parametrize("pieces", [1, 2])
def test_a_batch_with_nothing_to_predict_has_no_loss_and_gradients_of_zero(pieces):
    subject = model(ratio=0.5)
    empty = batch_of(subject, [EMPTY, EMPTY])
    assert float(subject(empty, Step()).value.detach()) == 0
    worth, found = gradients(subject, [empty] * pieces)
    assert worth.loss == 0
    assert found.keys() >= {"head.bias", "encoder.tokens.weight"}
    assert not any(bool(gradient.any()) for gradient in found.values())
    assert all(bool(gradient.isfinite().all()) for gradient in found.values())


def test_a_piece_with_nothing_to_predict_does_not_count():
    subject = model(ratio=0.5)
    full, empty = batch_of(subject, [tagged(0, SENTENCES[0])]), batch_of(subject, [EMPTY])
    worth, found = gradients(subject, [full, empty])
    alone, wanted = gradients(subject, [full])
    assert worth.loss == pytest.approx(alone.loss)
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, wanted[name])


def test_nothing_hidden_is_filled_with_what_is_there():
    subject = model().eval()
    batch = batch_of(subject, [EMPTY])
    with torch.no_grad():
        assert float(subject(batch, Step()).value) == 0
        filled = subject.fill(batch, torch.zeros_like(batch["real"]), Step())
    assert torch.equal(filled.values, batch["tokens"])


def test_a_run_goes_on_where_steps_have_nothing_hidden(tmp_path: Path):
    (tmp_path / "texts.txt").write_text("".join(f"{text}\n" for text in SENTENCES))
    recipe = {
        "use": "train", "steps": 12, "batch": 1, "log_every": 1, "device": "cpu",
        "data": {"use": "lines", "path": str(tmp_path / "texts.txt"), "test_share": 0.0},
        "objective": {
            "use": "mlm", "ratio": 0.03, "at_least_one": False, "masker": {"use": "tokens", "sampling": "bernoulli"},
            "encoder": {
                "use": "text", "length": 48, "width": 16, "depth": 1, "heads": 2,
                "codec": {"use": "subwords", "vocabulary": 60, "model": "words"},
            },
        },
    }  # fmt: skip
    run = api.run(recipe, seed=1, out=tmp_path / "run", pictures=False)
    logged = {
        name: [e["value"] for e in run.metrics() if e["name"] == f"train/{name}"]
        for name in ("loss", "hidden")
    }
    assert run.status["status"] == "finished"
    nothing = [loss for loss, share in zip(*logged.values(), strict=True) if share == 0]
    assert 1 < len(nothing) < 12 and set(nothing) == {0.0}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"ratio": 1.5}, "a share of the tokens is above 0 and at most 1, found 1.5"),
        ({"ratio": -0.1}, "a share of the tokens is above 0 and at most 1, found -0.1"),
        ({"ratio": 0.0}, "a share of the tokens is above 0 and at most 1, found 0"),
        ({"ratio": {"use": "linear", "start": 0.3, "end": -0.2}}, "at most 1, found -0.2 to 0.3"),
        ({"floor": 0.5, "cap": 0.4}, "0.5 is above the cap 0.4"),
        ({"mask_share": 0.8, "random_share": 0.3}, "0.8 + 0.3 is more than 1"),
        ({"ratio": "mrd-line"}, 'there is no schedule called "mrd-line" — did you mean "mrd-linear"?'),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(RecipeError) as caught:
        model(**settings)
    assert message in str(caught.value)


def test_a_masker_by_parts_of_speech_needs_tags():
    subject = model(masker="weighted")
    batch = batch_of(subject, [{"id": "a", "text": SENTENCES[0]}])
    with pytest.raises(UserError, match="the masker wants tag for each unit.*\n.*dataset:tagged"):
        subject(batch, Step())


def test_schedules_that_end_at_zero_or_one_are_fine():
    data = sentences()
    assert model(data, ratio={"use": "mrd-linear", "p": 0.5}).ratio(1.0) == 0.02
    assert model(data, ratio={"use": "linear", "start": 1.0, "end": 0.5}).ratio(0.0) == 0.95
