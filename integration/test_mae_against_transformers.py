"""Our MAE and ViT against those of transformers: same weights, same noise, same numbers."""

import inspect
import sys

import numpy as np
import pytest
import torch
from foreign_pictures import batch_of, noise, opened, pictures, saved, their_mae, their_vit
from PIL import Image
from transformers import AutoImageProcessor, ViTMAEForPreTraining, ViTModel

import maskwright as mw
from maskwright_torch.masking import positions_of
from maskwright_vision.exporting import to_official, to_transformers
from maskwright_vision.importing import from_official, from_transformers
from maskwright_vision.params_foreign import HfVit, HfVitMae
from maskwright_vision.params_models import Fixed, Mae, Vit

CLOSE = {"atol": 1e-5, "rtol": 0}


def close(ours, theirs):
    torch.testing.assert_close(ours, theirs.to(ours.dtype), **CLOSE)


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.no_grad():
        yield


def hidden_by(numbers, ratio):
    """bool (B, N) as the official code hides: all but the int(N (1 - ratio)) patches with the lowest numbers."""
    keep = int(numbers.shape[1] * (1 - ratio))
    return numbers.argsort(dim=1).argsort(dim=1) >= keep


def predictions(mae, batch, hidden):
    """(B, N, P): what our decoder predicts for every patch, also for visible ones."""
    everything = positions_of(torch.ones_like(hidden))
    return mae.decode(mae.encoder(batch, hidden), everything)


CASES = [(False, 1e-12, 0.75, 3), (True, 1e-12, 0.75, 3), (False, 1e-6, 0.5, 1), (True, 1e-6, 0.6, 4)]


@pytest.mark.parametrize(("norm_pix", "eps", "ratio", "channels"), CASES)
def test_logits_and_loss_are_theirs(tmp_path, norm_pix, eps, ratio, channels):
    theirs = their_mae(norm_pix, layer_norm_eps=eps, mask_ratio=ratio, num_channels=channels)
    ours = from_transformers(saved(theirs, tmp_path / "a"))[1].eval()
    pixels, numbers = pictures(channels), noise("mask", 2, 36)
    wanted = theirs(pixels, noise=numbers)
    hidden = hidden_by(numbers, ratio)
    assert torch.equal(hidden, wanted.mask.bool())
    assert 0 < int(hidden[0].sum()) < 36
    close(predictions(ours, batch_of(pixels), hidden), wanted.logits)
    close(ours.loss(batch_of(pixels), hidden).value, wanted.loss)


@pytest.mark.parametrize(("ratio", "kept"), [(0.75, 9), (0.6, 14), (0.95, 1)])
def test_the_fixed_masker_hides_what_they_hide_and_ids_restore_agrees(tmp_path, ratio, kept):
    theirs = their_mae(mask_ratio=ratio)
    imported = from_transformers(saved(theirs, tmp_path / "a"))[0]
    numbers = noise("fixed", 36)
    masker = Fixed(noise=numbers.tolist(), rounding="upstream")
    ours = Mae(
        encoder=imported.encoder, masker=masker, ratio=ratio, decoder_width=16, decoder_heads=2
    ).build()
    pixels = pictures()
    wanted = theirs(pixels, noise=numbers.expand(2, -1))
    hidden = ours.masker(ours.encoder.units(batch_of(pixels)), torch.full((2,), ratio).double(), mw.Step())
    assert torch.equal(hidden, wanted.mask.bool())
    assert int((~hidden[0]).sum()) == kept
    # Their ids_restore tells where each patch went: the visible ones to the front, those with low numbers first.
    shuffled = numbers.argsort()
    assert torch.equal(wanted.ids_restore[0], shuffled.argsort())
    assert torch.equal(positions_of(~hidden)[0], shuffled[:kept].sort().values)


def test_features_of_visible_patches_are_theirs(tmp_path):
    theirs = their_mae(mask_ratio=0.5)
    ours = HfVitMae(path=saved(theirs, tmp_path / "a")).build().eval()
    pixels, numbers = pictures(), noise("mask", 2, 36)
    wanted = theirs.vit(pixels, noise=numbers)
    made = ours(batch_of(pixels), hidden_by(numbers, 0.5))
    close(made.prefix[:, 0], wanted.last_hidden_state[:, 0])
    # Theirs come out in the order of the noise, ours in the order of the picture.
    order = numbers.argsort(dim=1)[:, :18].argsort(dim=1)[..., None].expand(-1, -1, 24)
    close(made.states, wanted.last_hidden_state[:, 1:].gather(1, order))


VITS = [(24, {}), ([16, 28], {}), (24, {"qkv_bias": False, "layer_norm_eps": 1e-6, "num_channels": 1})]


@pytest.mark.parametrize(("image", "more"), VITS)
def test_with_nothing_hidden_the_encoder_is_their_vit(tmp_path, image, more):
    theirs = their_vit(image, **more)
    ours = HfVit(path=saved(theirs, tmp_path / "a")).build().eval()
    height, width = image if isinstance(image, list) else (image, image)
    pixels = pictures(more.get("num_channels", 3), height, width)
    wanted = theirs(pixels).last_hidden_state
    nothing = torch.zeros(2, wanted.shape[1] - 1, dtype=torch.bool)
    for made in (ours(batch_of(pixels)), ours(batch_of(pixels), nothing)):
        close(made.states, wanted[:, 1:])
        close(made.pooled, wanted[:, 0])


def test_encoder_of_a_mae_in_their_vit(tmp_path):
    encoder = from_transformers(saved(their_mae(), tmp_path / "a"))[1].encoder.eval()
    to_transformers(encoder, tmp_path / "vit")
    theirs = opened(ViTModel, tmp_path / "vit", add_pooling_layer=False)
    close(encoder(batch_of(pictures())).states, theirs(pictures()).last_hidden_state[:, 1:])


def test_rectangles_pass_through_both_halves_of_their_mae(tmp_path):
    """Their forward wants squares; encoder and decoder by themselves take 4 x 9 patches as they take 6 x 6."""
    theirs = their_mae(image=[16, 36], mask_ratio=0.5)
    ours = from_transformers(saved(theirs, tmp_path / "a"))[1].eval()
    assert ours.encoder.grid == (4, 9)
    pixels, numbers = pictures(3, 16, 36), noise("mask", 2, 36)
    seen = theirs.vit(pixels, noise=numbers)
    wanted = theirs.decoder(seen.last_hidden_state, seen.ids_restore).logits
    close(predictions(ours, batch_of(pixels), hidden_by(numbers, 0.5)), wanted)


@pytest.mark.parametrize(("target", "norm_pix"), [("pixels", False), ("normalised", True)])
def test_our_mae_opens_in_transformers(tmp_path, target, norm_pix):
    encoder = Vit(image=24, patch=4, channels=3, width=24, depth=2, heads=3)
    ours = Mae(encoder=encoder, target=target, ratio=0.6, decoder_width=16, decoder_depth=2, decoder_heads=2)
    ours = ours.build(seed=8).eval()
    to_transformers(ours, tmp_path / "a")
    theirs = opened(ViTMAEForPreTraining, tmp_path / "a")
    assert (theirs.config.norm_pix_loss, theirs.config.mask_ratio) == (norm_pix, 0.6)
    pixels, numbers = pictures(), noise("mask", 2, 36)
    wanted = theirs(pixels, noise=numbers)
    hidden = hidden_by(numbers, 0.6)
    close(predictions(ours, batch_of(pixels), hidden), wanted.logits)
    close(ours.loss(batch_of(pixels), hidden).value, wanted.loss)


def test_our_rectangles_open_in_their_vit(tmp_path):
    ours = Vit(image=[16, 28], patch=4, channels=3, width=24, depth=2, heads=3, positions="learned")
    ours = ours.build(seed=8).eval()
    to_transformers(ours, tmp_path / "a")
    theirs = opened(ViTModel, tmp_path / "a", add_pooling_layer=False)
    pixels = pictures(3, 16, 28)
    close(ours(batch_of(pixels)).states, theirs(pixels).last_hidden_state[:, 1:])


def test_weights_are_the_same_bits_after_any_detour(tmp_path):
    theirs = their_mae()
    ours = from_transformers(saved(theirs, tmp_path / "a"))[1]
    to_official(ours, tmp_path / "a.pth")
    to_transformers(from_official(tmp_path / "a.pth")[1], tmp_path / "b")
    before, after = theirs.state_dict(), opened(ViTMAEForPreTraining, tmp_path / "b").state_dict()
    assert before.keys() == after.keys()
    assert [name for name in before if not torch.equal(before[name], after[name])] == []


PIXELS = [
    ("crop", (24, 24), 0.0),
    ("stretch", (24, 24), 0.0),
    ("crop", (30, 50), 0.02),
    ("stretch", (30, 50), 0.02),
]


@pytest.mark.parametrize(("fit", "size", "beyond"), PIXELS)
def test_their_processor_prepares_pictures_as_we_do(tmp_path, fit, size, beyond):
    """Bit for bit but for rounding; where a picture is resized, they round to bytes in between and we do not."""
    encoder = Vit(image=24, patch=4, channels=3, width=24, depth=1, heads=3, fit=fit, mean=[0.4, 0.5, 0.6])
    ours = encoder.build()
    to_transformers(ours, tmp_path / "a")
    rows, columns = np.mgrid[: size[0], : size[1]]
    picture = np.stack([rows * 5, columns * 4, rows + columns], axis=-1).astype(np.uint8)
    processor = AutoImageProcessor.from_pretrained(tmp_path / "a")
    wanted = processor(Image.fromarray(picture), return_tensors="pt")["pixel_values"]
    made = ours.prepare([{"id": "a", "pixels": picture}], mw.Step())["pixels"]
    torch.testing.assert_close(made, wanted, atol=1e-5 + beyond, rtol=0)


def test_nothing_was_left_out():
    """Every comparison above ran or failed: none can be skipped because a library is missing."""
    tests = [
        name
        for name, _ in inspect.getmembers(sys.modules[__name__], inspect.isfunction)
        if name.startswith("test_")
    ]
    assert len(tests) == 11
    assert len(CASES) + len(VITS) + len(PIXELS) == 11
    assert "transformers" in sys.modules
