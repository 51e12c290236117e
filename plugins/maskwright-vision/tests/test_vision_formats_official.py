"""Official MAE checkpoints and timm's ViT: read tensor by tensor, written, and read back."""

import argparse
import os

import pytest
import torch
import torch.nn.functional as F
from foreign_models import TOLD, assert_same_weights, mae, numbers, official_state, vit, write_checkpoint
from safetensors.torch import save_file

from maskwright.errors import UserError
from maskwright_vision.exporting import to_official, to_timm, to_transformers
from maskwright_vision.importing import from_official, from_timm
from maskwright_vision.params_models import VitFull
from maskwright_vision.pictures import patchify


def test_every_tensor_finds_its_place(tmp_path):
    state = official_state()
    arguments = argparse.Namespace(
        model="mae_vit_tiny", norm_pix_loss=False, mask_ratio=0.6, input_size=16, lr=None
    )
    path = write_checkpoint(
        tmp_path / "a.pth",
        state,
        {"heads": 2, "decoder_heads": 4},
        args=arguments,
        epoch=3,
        optimizer={"state": {}},
    )
    params, part = from_official(path)
    assert (params.ratio, params.target, params.encoder.image) == (0.6, "pixels", 16)
    assert (params.encoder.heads, params.decoder_heads, params.encoder.positions) == (2, 4, "sin-cos")
    assert (params.encoder.eps, params.eps) == (1e-6, 1e-6)
    ours = part.state_dict()
    conv = state.pop("patch_embed.proj.weight")
    assert torch.equal(ours.pop("encoder.patch_embed.weight"), conv.permute(0, 2, 3, 1).reshape(24, 48))
    assert torch.equal(ours.pop("encoder.patch_embed.bias"), state.pop("patch_embed.proj.bias"))
    assert ours.pop("encoder.table_grid").tolist() == [4, 4]
    assert {name.removeprefix("encoder.") for name in ours} == state.keys()
    assert all(torch.equal(tensor, state[name.removeprefix("encoder.")]) for name, tensor in ours.items())


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_patches_are_embedded_as_by_the_convolution(tmp_path, channels):
    state = official_state(channels=channels, grid=(2, 5), decoder=0)
    part = from_official(write_checkpoint(tmp_path / "a.pth", state, {"heads": 2, "image": [8, 20]}))[1]
    pixels = numbers("pixels", 2, channels, 8, 20)
    weight, bias = state["patch_embed.proj.weight"], state["patch_embed.proj.bias"]
    theirs = F.conv2d(pixels, weight, bias, stride=4).flatten(2).transpose(1, 2)
    torch.testing.assert_close(part.patch_embed(patchify(pixels, 4)), theirs, atol=1e-5, rtol=0)


def test_published_widths_need_no_heads_and_a_bare_state_is_enough(tmp_path):
    state = {f"module.{name}": tensor for name, tensor in official_state(width=192, decoder=0).items()}
    torch.save(state, tmp_path / "bare.pth")
    params, part = from_official(tmp_path / "bare.pth")
    assert (params.heads, part.blocks[1].attn.heads) == (3, 3)


def test_an_encoder_without_its_decoder_says_so(tmp_path, capsys):
    from_official(write_checkpoint(tmp_path / "a.pth", official_state(decoder=0), {"heads": 2}))
    assert "note: this is an encoder without its decoder" in capsys.readouterr().err
    from_official(write_checkpoint(tmp_path / "b.pth", official_state(), TOLD))
    assert capsys.readouterr().err == ""


def test_a_fine_tuned_checkpoint_gives_its_encoder(tmp_path, capsys):
    state = official_state(decoder=0)
    state = {
        name.replace("norm.", "fc_norm.") if name.startswith("norm.") else name: t
        for name, t in state.items()
    }
    state |= {"head.weight": numbers("head", 5, 24), "head.1.num_batches_tracked": torch.tensor(3)}
    params, part = from_official(write_checkpoint(tmp_path / "a.pth", state, {"heads": 2}))
    assert (params.pool, params.final_norm, isinstance(part.norm, torch.nn.Identity)) == ("mean", False, True)
    said = "note: left behind: fc_norm.bias, fc_norm.weight, head.1.num_batches_tracked, head.weight"
    assert said in capsys.readouterr().err


def test_a_trained_table_of_positions_stays_trainable(tmp_path):
    state = official_state(decoder=0) | {"pos_embed": numbers("learned", 1, 17, 24)}
    params, part = from_official(write_checkpoint(tmp_path / "a.pth", state, {"heads": 2}))
    assert (params.positions, part.pos_embed.requires_grad) == ("learned", True)
    assert torch.equal(part.pos_embed, state["pos_embed"])


def test_a_table_of_zeros_is_told(tmp_path, capsys):
    state = official_state(decoder=0) | {"pos_embed": torch.zeros(1, 17, 24)}
    from_timm(write_checkpoint(tmp_path / "a.pth", state, {"heads": 2}))
    assert "its table of positions is all zeros" in capsys.readouterr().err


def test_half_precision_is_read_exactly(tmp_path):
    state = {name: tensor.half() for name, tensor in official_state(decoder=0).items()}
    part = from_official(write_checkpoint(tmp_path / "a.pth", state, {"heads": 2}))[1]
    assert part.norm.weight.dtype == torch.float32
    assert torch.equal(part.norm.weight, state["norm.weight"].float())


UNTOLD = [
    ("heads", {}, "heads", '"heads"', "a state of width 24 is none of the published sizes 192, 384, 512"),
    ("decoder_heads", {}, "decoder_heads", '"decoder_heads"', "a decoder of width 16 is not MAE's (512)"),
    ("target", {}, "target", '"target"', "whether it predicts pixels or normalised pixels does not show"),
    ("image", {"grid": (2, 5)}, "", '"image"', "10 positions form no square"),
]


@pytest.mark.parametrize(("name", "size", "left_out", "key", "why"), UNTOLD)
def test_what_tensors_do_not_tell_is_asked_for(tmp_path, name, size, left_out, key, why):
    told = {word: value for word, value in TOLD.items() if word != left_out}
    path = write_checkpoint(tmp_path / "a.pth", official_state(**size), told)
    with pytest.raises(UserError) as caught:
        from_official(path)
    assert caught.value.what == f"{path} does not tell {key}"
    assert why in caught.value.why
    assert caught.value.cure.startswith(f"write it into {tmp_path / 'a.json'}: {{{key}: ")


def test_another_picture_than_the_table_is_for_is_shown_in_a_table(tmp_path):
    path = write_checkpoint(tmp_path / "a.pth", official_state(), {**TOLD, "image": 24})
    with pytest.raises(UserError) as caught:
        from_official(path)
    assert caught.value.what == f"the weights in {path} are not of the size that a.json says"
    rows = [line.split() for line in caught.value.why.splitlines()]
    assert rows[0] == ["a.json", "weights"]
    assert ["rows", "of", "the", "position", "table", "37", "17", "←"] in rows
    assert ["patch", "4", "4"] in rows


def test_predictions_that_are_no_pixels_are_shown_in_a_table(tmp_path):
    other = {"decoder_pred.weight": numbers("w", 32, 16), "decoder_pred.bias": numbers("b", 32)}
    with pytest.raises(UserError, match=r"numbers predicted for a patch +48 +32 ←"):
        from_official(write_checkpoint(tmp_path / "a.pth", official_state() | other, TOLD))


WRONG_TOLD = [
    ({"heads": 5}, "width: 24 is no multiple of 5 heads"),
    ({"heads": "two"}, 'Vit.heads: expected whole number, found "two"'),
    ({"mean": [0.5]}, "mean: needs one number for each of 3 channels, found 1"),
    ({"image": [16]}, "image: give one side, or [height, width]; found [16]"),
    ({"target": "pca"}, "decoder_pred.bias: (48,) where (16,) is wanted"),
    ({"target": "words"}, "Mae.target: expected"),
    ({"ratio": {"use": "constant"}}, "ratio: expected a number from 0 to 1, found {'use': 'constant'}"),
    ({"ratio": 1.5}, "ratio: expected a number from 0 to 1, found 1.5"),
    ({"decoder_heads": 3}, "decoder_width: 16 is no multiple of 3 heads and of 4"),
]


@pytest.mark.parametrize(("told", "message"), WRONG_TOLD)
def test_wrong_settings_beside_the_weights(tmp_path, told, message):
    path = write_checkpoint(tmp_path / "a.pth", official_state(), {**TOLD, **told})
    with pytest.raises(UserError) as caught:
        from_official(path)
    assert message in str(caught.value)
    assert str(path) in caught.value.where


def without(state, name):
    return {key: tensor for key, tensor in state.items() if key != name}


WRONG_TENSORS = [
    (without(official_state(), "blocks.1.norm2.bias"), "encoder.blocks.1.norm2.bias: missing"),
    (
        official_state() | {"blocks.0.ls1.gamma": numbers("g", 24)},
        "encoder.blocks.0.ls1.gamma: not known here",
    ),
    (
        official_state() | {"decoder_norm.bias": numbers("g", 8)},
        "decoder_norm.bias: (8,) where (16,) is wanted",
    ),
    (
        official_state() | {"blocks.1.norm1.bias": numbers("g", 24) / 0},
        "blocks.1.norm1.bias has a NaN or an infinite",
    ),
    (official_state() | {"norm.bias": torch.arange(24)}, "norm.bias has the type int64"),
    (
        without(official_state(), "cls_token"),
        "cls_token is missing; it has pos_embed, patch_embed.proj.weight",
    ),
    ({"conv1.weight": numbers("c", 8, 3, 7, 7)}, "patch_embed.proj.weight is missing"),
    (
        official_state() | {"patch_embed.proj.weight": numbers("p", 24, 3, 4, 2)},
        "patch_embed.proj.weight (24, 3, 4, 2)",
    ),
]


@pytest.mark.parametrize(("state", "message"), WRONG_TENSORS)
def test_wrong_tensors_are_listed(tmp_path, state, message):
    path = write_checkpoint(tmp_path / "a.pth", state, TOLD)
    with pytest.raises(UserError) as caught:
        from_official(path)
    assert message in caught.value.why
    assert str(path) in caught.value.what


class Trap:
    """Pickled, it is an order to make a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    path = write_checkpoint(tmp_path / "a.pth", official_state(), TOLD, extra=Trap(tmp_path / "made"))
    with pytest.raises(UserError) as caught:
        from_official(path)
    assert not (tmp_path / "made").exists()
    assert caught.value.what == f"{path} is not opened, because that could run code"
    assert caught.value.why == "it holds an object of posix.mkdir, or is damaged"


PARTS = {
    "mae": mae(),
    "mae of pixels": mae(target="pixels", ratio=0.6),
    "mae of one channel, learned table": mae(vit(channels=1, positions="learned")),
    "mae of rectangles": mae(vit(image=[8, 20])),
    "encoder": vit(),
    "encoder without final norm": vit(final_norm=False, pool="mean"),
    "encoder of rectangles, four channels": vit(image=[20, 8], channels=4, fit="stretch", eps=1e-5),
    "encoder without qkv bias": vit(
        qkv_bias=False, mlp_ratio=1.5, mean=[0.1, 0.2, 0.3], std=[0.5, 0.25, 1.0]
    ),
    "encoder with a learned table": vit(positions="learned"),
}


ENCODER = [
    "image",
    "patch",
    "channels",
    "width",
    "depth",
    "heads",
    "mlp_ratio",
    "pool",
    "positions",
    "final_norm",
]


def settings_of(params):
    """What has to come back; statistics that were left to the default come back as numbers."""
    encoder = getattr(params, "encoder", params)
    settings = {name: getattr(encoder, name) for name in [*ENCODER, "qkv_bias", "eps", "fit"]}
    return settings | {name: getattr(params, name, None) for name in ("target", "ratio", "decoder_depth")}


@pytest.mark.parametrize("name", list(PARTS))
def test_the_official_layout_comes_back_bit_for_bit(tmp_path, name):
    part = PARTS[name].build(seed=5)
    to_official(part, tmp_path / "a.pth")
    params, back = from_official(tmp_path / "a.pth")
    assert_same_weights(part, back)
    assert settings_of(params) == settings_of(PARTS[name])


ENCODERS = [name for name in PARTS if name.startswith("encoder")]
assert len(ENCODERS) == 5


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("name", ENCODERS)
def test_the_layout_of_timm_comes_back_bit_for_bit(tmp_path, name, suffix):
    part = PARTS[name].build(seed=5)
    to_timm(part, tmp_path / f"a{suffix}")
    params, back = from_timm(tmp_path / f"a{suffix}")
    assert_same_weights(part, back)
    assert settings_of(params) == settings_of(PARTS[name])
    assert (back.prepare.mean, back.prepare.std) == (part.prepare.mean, part.prepare.std)


def test_a_folder_of_timms_hub(tmp_path):
    save_file(official_state(width=192, decoder=0), str(tmp_path / "model.safetensors"))
    (tmp_path / "config.json").write_text(
        '{"architecture": "x", "global_pool": "avg", "pretrained_cfg": {"mean": [0.1, 0.2, 0.3], "std": [1, 1, 1]}}'
    )
    params, _ = from_timm(tmp_path)
    assert (params.pool, params.mean, params.std) == ("mean", [0.1, 0.2, 0.3], [1.0, 1.0, 1.0])


def test_a_folder_of_transformers_is_not_for_timm(tmp_path):
    to_transformers(vit().build(), tmp_path / "a")
    with pytest.raises(
        UserError, match="holds no weights of a vision transformer (.*\n)+ +do: +--from transformers$"
    ):
        from_timm(tmp_path / "a")


def test_a_decoder_is_not_for_timm(tmp_path):
    with pytest.raises(UserError, match="has a decoder\n.*where.*\n.*do: +--from mae-official"):
        from_timm(write_checkpoint(tmp_path / "a.pth", official_state(), TOLD))
    with pytest.raises(UserError, match="cannot be written in that format\n.*why: +timm has no MAE\n"):
        to_timm(mae().build(), tmp_path / "a.safetensors")


CANNOT = [
    (mae(target="pca"), "there the target is pixels or normalised pixels"),
    (
        mae({"use": "vit-full", "image": 16, "channels": 3}),
        "there hidden patches never enter the encoder, here they do",
    ),
]


@pytest.mark.parametrize(("params", "why"), CANNOT)
def test_what_an_official_checkpoint_cannot_hold(tmp_path, params, why):
    with pytest.raises(UserError) as caught:
        to_official(params.build(), tmp_path / "a.pth")
    assert (caught.value.what, caught.value.why) == ("this part cannot be written in that format", why)
    assert list(tmp_path.iterdir()) == []


def test_the_mask_token_of_the_control_stays_behind(tmp_path, capsys):
    part = VitFull(image=16, channels=3, width=24, heads=2, depth=1).build(seed=1)
    to_timm(part, tmp_path / "a.safetensors")
    assert "note: the encoder's mask token stays behind" in capsys.readouterr().err
    back = from_timm(tmp_path / "a.safetensors")[1].state_dict()
    assert part.state_dict().keys() - back.keys() == {"mask_token"}


def test_blocks_of_different_sizes_are_refused(tmp_path):
    part = vit().build()
    part.blocks[1].mlp.fc1 = torch.nn.Linear(24, 50)
    with pytest.raises(UserError, match="there blocks are alike and whole, here .heads, neurons. are "):
        to_official(part, tmp_path / "a.pth")


@pytest.mark.parametrize(("write", "name"), [(to_official, "a.bin"), (to_official, "a"), (to_timm, "a.onnx")])
def test_a_name_that_says_no_format(tmp_path, write, name):
    with pytest.raises(
        UserError, match=rf"{name} is no name for an? .*\n.*\n.*do: +a name that ends in \.pth"
    ):
        write(vit().build(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []
