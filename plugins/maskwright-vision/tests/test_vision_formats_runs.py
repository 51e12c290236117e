"""From a foreign checkpoint to a run, what can be done with that run, and out again."""

import numpy as np
import pytest
import torch
from foreign_models import TOLD, assert_same_weights, mae, official_state, vit, write_checkpoint

import maskwright as mw
from maskwright.api import load
from maskwright.cli.main import main
from maskwright.errors import RecipeError
from maskwright_vision.exporting import to_official, to_transformers
from maskwright_vision.importing import from_official, from_transformers
from maskwright_vision.params_foreign import HfVit, HfVitMae
from maskwright_vision.params_models import Mae, Vit


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """A run from a whole official checkpoint."""
    folder = tmp_path_factory.mktemp("imported")
    write_checkpoint(folder / "a.pth", official_state(), TOLD)
    assert (
        main(["import", str(folder / "a.pth"), "--from", "mae-official", "--out", str(folder / "run")]) == 0
    )
    return folder


@pytest.fixture(scope="module")
def encoder_only(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder")
    write_checkpoint(folder / "a.pth", official_state(channels=1, decoder=0), {"heads": 2})
    assert (
        main(["import", str(folder / "a.pth"), "--from", "mae-official", "--out", str(folder / "run")]) == 0
    )
    return folder / "run"


def pictures(channels=3):
    generator = np.random.Generator(np.random.Philox(key=mw.Step(seed=4).stream("pictures")))
    return [
        {"id": str(number), "pixels": generator.integers(0, 256, (16, 16, channels), dtype=np.uint8)}
        for number in range(3)
    ]


def test_the_run_holds_the_weights_and_where_they_came_from(imported):
    run = load(imported / "run")
    assert_same_weights(run.part("part"), from_official(imported / "a.pth")[1])
    assert (run.resolved["source"], run.resolved["format"]) == (str(imported / "a.pth"), "mae-official")


def test_from_run_takes_the_encoder_of_the_objective(imported):
    run = load(imported / "run")
    assert_same_weights(run.part("part.encoder"), run.part("part").encoder)
    new = Mae(encoder={"use": "from-run", "run": str(imported / "run"), "part": "part.encoder"}).build()
    assert_same_weights(new.encoder, run.part("part").encoder)


def test_an_imported_objective_fills_and_embeds(imported):
    run = load(imported / "run")
    assert run.pipelines() == ["fill", "embed"]
    filled = list(run.pipeline()(pictures(), mw.Step()))
    assert [item["hidden"].sum() for item in filled] == [12, 12, 12]
    assert [item["filled"].shape for item in filled] == [(16, 16, 3)] * 3
    part = run.part("part.encoder")
    batch = {**part.prepare(pictures(), mw.Step()), "rows": torch.arange(3)}
    vectors = np.stack([item["vector"] for item in run.pipeline("embed")(pictures(), mw.Step())])
    np.testing.assert_array_equal(vectors, part(batch).pooled.detach().numpy())


def test_an_encoder_fills_nothing_in(encoder_only, capsys):
    assert main(["apply", f"{encoder_only}:fill", "photo.jpg"]) == 2
    said = capsys.readouterr().err
    assert f'{encoder_only} has no pipeline "fill"' in said
    assert "it needs one objective with fills, torch; this run has none" in said
    assert load(encoder_only).pipelines() == ["embed"]


def test_an_encoder_trains_on_with_a_new_decoder_when_it_is_put_into_an_objective(encoder_only):
    new = Mae(
        encoder={"use": "from-run", "run": str(encoder_only)}, decoder_width=16, decoder_heads=2
    ).build()
    assert_same_weights(new.encoder, load(encoder_only).part())
    assert new.decoder_embed.weight.shape == (16, 24)


def test_evaluators_take_an_imported_run(encoder_only, tmp_path):
    out = tmp_path / "judged"
    assert (
        main(["evaluate", str(encoder_only), "with=feature-rank", "data=digits", "--out", str(out), "-q"])
        == 0
    )
    assert any(name.startswith("feature-rank/") for name in load(out).last_metrics())


def test_the_objective_is_exported_whole_and_its_encoder_by_name(imported, tmp_path, capsys):
    run = str(imported / "run")
    assert main(["export", run, str(tmp_path / "mae"), "--to", "transformers"]) == 0
    assert f"part -> {tmp_path / 'mae'}" in capsys.readouterr().out
    assert_same_weights(from_transformers(tmp_path / "mae")[1], load(run).part("part"))
    assert main(["export", run, str(tmp_path / "vit"), "--to", "transformers", "--part", "part.encoder"]) == 0
    assert_same_weights(from_transformers(tmp_path / "vit")[1], load(run).part("part.encoder"))
    assert main(["export", run, str(tmp_path / "a.safetensors"), "--to", "timm"]) == 0
    assert main(["export", run, str(tmp_path / "back.pth"), "--to", "mae-official"]) == 0
    written = torch.load(tmp_path / "back.pth", weights_only=True)["model"]
    state = official_state()
    assert written.keys() == state.keys()
    assert all(torch.equal(written[name], state[name]) for name in state)


CHAINS = [("transformers", "hf", "transformers"), ("mae-official", "b.pth", "mae-official")]


@pytest.mark.parametrize(("to", "name", "back"), CHAINS)
def test_out_and_in_by_the_command_line(imported, tmp_path, to, name, back):
    assert main(["export", str(imported / "run"), str(tmp_path / name), "--to", to]) == 0
    assert main(["import", str(tmp_path / name), "--from", back, "--out", str(tmp_path / "run")]) == 0
    assert_same_weights(load(tmp_path / "run").part("part"), load(imported / "run").part("part"))


def test_a_folder_serves_as_encoder_of_an_objective(tmp_path):
    to_transformers(mae().build(seed=2), tmp_path / "mae")
    to_transformers(vit().build(seed=3), tmp_path / "vit")
    one = Mae(
        encoder={"use": "hf-vitmae", "path": str(tmp_path / "mae")}, decoder_width=16, decoder_heads=2
    ).build()
    two = Mae(
        encoder={"use": "hf-vit", "path": str(tmp_path / "vit")}, decoder_width=16, decoder_heads=2
    ).build()
    assert_same_weights(one.encoder, HfVitMae(path=tmp_path / "mae").build())
    assert_same_weights(two.encoder, HfVit(path=tmp_path / "vit").build())
    batch = {**one.prepare(pictures(), mw.Step()), "rows": torch.arange(3)}
    assert torch.isfinite(one(batch, mw.Step()).value)


def test_an_encoder_from_a_folder_goes_on_to_other_formats(tmp_path):
    to_transformers(vit().build(seed=3), tmp_path / "vit")
    part = HfVit(path=tmp_path / "vit").build()
    assert HfVit.exports() == HfVitMae.exports() == Vit.exports()
    assert Vit.exports().keys() == {"transformers", "transformers-zero-filled", "mae-official", "timm"}
    to_official(part, tmp_path / "a.pth")
    assert_same_weights(from_official(tmp_path / "a.pth")[1], part)


def test_a_missing_folder_is_a_mistake_of_the_recipe(tmp_path):
    with pytest.raises(RecipeError) as caught:
        Mae(encoder={"use": "hf-vit", "path": str(tmp_path / "nowhere")}).build()
    (mistake,) = caught.value.mistakes
    assert mistake.path == "encoder.path"
    assert "nowhere is no folder of a transformers model: there is no such folder" in mistake.message
