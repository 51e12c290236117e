"""Folders that transformers writes and reads, without transformers: names, settings, pixel statistics."""

import json

import pytest
import torch
from foreign_models import CONFIG, assert_same_weights, mae, numbers, official_state, vit, write_folder

from maskwright.errors import RecipeError, UserError
from maskwright_vision.exporting import to_transformers
from maskwright_vision.importing import from_transformers
from maskwright_vision.params_foreign import HfVit, HfVitMae
from maskwright_vision.positions import resample_table

VIT_CONFIG = {key: value for key, value in CONFIG.items() if "decoder" not in key} | {"model_type": "vit"}


def spelled(state, blocks, decoder_blocks, split, in_block, prefix="vit."):
    """The tensors of an official state under names of transformers."""
    made = {}
    for name, tensor in state.items():
        first, _, rest = name.partition(".")
        if first in ("blocks", "decoder_blocks"):
            number, _, rest = rest.partition(".")
            at = f"{prefix}{blocks}.{number}." if first == "blocks" else f"decoder.{decoder_blocks}.{number}."
            inner, _, kind = rest.rpartition(".")
            if inner == "attn.qkv":
                pieces = zip(split, tensor.split(len(tensor) // 3), strict=True)
                made |= {f"{at}{part}.{kind}": piece.clone() for part, piece in pieces}
            else:
                made[f"{at}{in_block[inner]}.{kind}"] = tensor
        elif name.startswith(("decoder_", "mask_token")):
            made[f"decoder.{name}"] = tensor
        else:
            made[prefix + WHOLE[name]] = tensor
    return made


WHOLE = {
    "cls_token": "embeddings.cls_token",
    "pos_embed": "embeddings.position_embeddings",
    "patch_embed.proj.weight": "embeddings.patch_embeddings.projection.weight",
    "patch_embed.proj.bias": "embeddings.patch_embeddings.projection.bias",
    "norm.weight": "layernorm.weight",
    "norm.bias": "layernorm.bias",
}
ON_DISK = (
    [f"attention.attention.{part}" for part in ("query", "key", "value")],
    {
        "norm1": "layernorm_before", "norm2": "layernorm_after", "attn.proj": "attention.output.dense",
        "mlp.fc1": "intermediate.dense", "mlp.fc2": "output.dense",
    },
)  # fmt: skip
IN_MEMORY = (
    [f"attention.{part}_proj" for part in "qkv"],
    {
        "norm1": "layernorm_before", "norm2": "layernorm_after", "attn.proj": "attention.o_proj",
        "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2",
    },
)  # fmt: skip
SPELLINGS = [
    ("encoder.layer", "decoder_encoder.layer", *ON_DISK),  # 5.23
    ("encoder.layer", "decoder_layers", *ON_DISK),  # before
    ("layers", "decoder_layers", *IN_MEMORY),  # its modules
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_gives_the_same_tensors(tmp_path, spelling):
    state = official_state()
    params, part = from_transformers(write_folder(tmp_path / "a", spelled(state, *spelling), CONFIG))
    assert (params.target, params.ratio, params.decoder_depth, params.eps) == ("normalised", 0.6, 1, 1e-6)
    ours = {name.removeprefix("encoder."): tensor for name, tensor in part.state_dict().items()}
    same = [name for name in state if name in ours and torch.equal(ours[name], state[name])]
    assert set(same) == state.keys() - {"patch_embed.proj.weight", "patch_embed.proj.bias"}
    assert torch.equal(ours["patch_embed.bias"], state["patch_embed.proj.bias"])


def test_what_is_written_has_the_names_on_disk(tmp_path):
    to_transformers(mae(decoder_depth=1).build(), tmp_path / "a")
    wanted = spelled(official_state(), *SPELLINGS[0])
    from safetensors.torch import load_file

    found = load_file(str(tmp_path / "a" / "model.safetensors"))
    assert {name: t.shape for name, t in found.items()} == {name: t.shape for name, t in wanted.items()}


PARTS = {
    "mae": (mae(target="pixels", ratio=0.6), "ViTMAEForPreTraining"),
    "mae, normalised": (mae(vit(channels=1)), "ViTMAEForPreTraining"),
    "mae, learned table": (mae(vit(positions="learned")), "ViTMAEForPreTraining"),
    "encoder": (vit(mean=[0.1, 0.2, 0.3], std=[0.5, 0.25, 1.0]), "ViTModel"),
    "encoder of rectangles": (vit(image=[8, 20], fit="stretch"), "ViTModel"),
    "encoder without qkv bias": (vit(qkv_bias=False, eps=1e-12), "ViTModel"),
}


@pytest.mark.parametrize("name", list(PARTS))
def test_a_folder_comes_back_bit_for_bit(tmp_path, name):
    made, architecture = PARTS[name]
    part = made.build(seed=5)
    to_transformers(part, tmp_path / "a")
    assert json.loads((tmp_path / "a" / "config.json").read_text())["architectures"] == [architecture]
    params, back = from_transformers(tmp_path / "a")
    assert_same_weights(part, back)
    encoders = [getattr(x, "encoder", x).prepare for x in (part, back)]
    assert encoders[0] == encoders[1]
    for setting in ("target", "ratio", "eps", "positions", "image", "heads", "qkv_bias"):
        assert getattr(params, setting, None) == getattr(made, setting, None)


CANNOT = [
    (vit(final_norm=False), "always has a norm after the last block, this encoder has none"),
    (mae(vit(image=[8, 20])), "takes square pictures only, these are 8 x 20"),
    (
        mae(vit(qkv_bias=False)),
        "the decoder has a bias of queries, keys and values exactly if the encoder has",
    ),
    (mae(eps=1e-5), "there is one epsilon there, here 1e-06 and 1e-05"),
    (mae(target="tokens"), "there the target is pixels or normalised pixels"),
]


@pytest.mark.parametrize(("params", "why"), CANNOT)
def test_what_a_folder_cannot_hold(tmp_path, params, why):
    with pytest.raises(UserError) as caught:
        to_transformers(params.build(), tmp_path / "a")
    assert caught.value.what == "this part cannot be written in that format"
    assert why in caught.value.why
    assert list(tmp_path.iterdir()) == []


def test_padding_is_told(tmp_path, capsys):
    to_transformers(vit(fit="pad").build(), tmp_path / "a")
    assert "note: its processor does not pad" in capsys.readouterr().err


def plain_vit(tmp_path, config=None, pixels=None, **more):
    state = official_state(decoder=0) | {"pos_embed": numbers("learned", 1, 17, 24)}
    tensors = spelled(state, *SPELLINGS[0], prefix="") | more
    return write_folder(tmp_path / "vit", tensors, VIT_CONFIG | (config or {}), pixels)


def test_heads_of_a_vit_are_left_behind_and_told(tmp_path, capsys):
    head = {"pooler.dense.bias": numbers("p", 24), "classifier.weight": numbers("c", 3, 24)}
    head["embeddings.mask_token"] = numbers("m", 1, 1, 24)
    folder = plain_vit(tmp_path, **head)
    params, part = from_transformers(folder)
    said = "note: left behind: classifier.weight, embeddings.mask_token, pooler.dense.bias; they are no part"
    assert said in capsys.readouterr().err
    assert params.positions == "learned"
    assert_same_weights(HfVit(path=folder).build(), part)
    assert capsys.readouterr().err == ""


def test_the_encoder_of_a_mae_folder(tmp_path):
    folder = write_folder(tmp_path / "a", spelled(official_state(), *SPELLINGS[1]), CONFIG)
    encoder = HfVitMae(path=folder, pool="mean", final_norm=False, drop_path=0.2).build()
    whole = from_transformers(folder)[1].encoder
    assert torch.equal(encoder.blocks[1].attn.qkv.weight, whole.blocks[1].attn.qkv.weight)
    assert (encoder.pool, encoder.blocks[1].drop_path.rate) == ("mean", 0.2)
    assert isinstance(encoder.norm, torch.nn.Identity)


def test_another_picture_size_resamples_a_learned_table(tmp_path):
    folder = plain_vit(tmp_path)
    encoder = HfVit(path=folder, image=[24, 16]).build()
    assert encoder.grid == (6, 4)
    wanted = resample_table(numbers("learned", 1, 17, 24)[0], (4, 4), (6, 4))
    torch.testing.assert_close(encoder.pos_embed[0].detach(), wanted, atol=0, rtol=0)


PIXELS = [
    (None, [0.5, 0.5, 0.5], [0.5, 0.5, 0.5], "stretch"),
    (
        {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.25, 1]},
        [0.1, 0.2, 0.3],
        [0.5, 0.25, 1.0],
        "stretch",
    ),
    ({"image_mean": 0.25, "image_std": 0.5, "do_center_crop": True}, [0.25] * 3, [0.5] * 3, "crop"),
    ({"do_normalize": False}, [0.0] * 3, [1.0] * 3, "stretch"),
    ({"do_rescale": False, "image_mean": [127.5], "image_std": [51.0]}, [0.5] * 3, [0.2] * 3, "stretch"),
    ({"rescale_factor": 2 / 255, "image_mean": [1.0], "image_std": [0.5]}, [0.5] * 3, [0.25] * 3, "stretch"),
]


@pytest.mark.parametrize(("pixels", "mean", "std", "fit"), PIXELS)
def test_pixel_statistics_come_along(tmp_path, pixels, mean, std, fit):
    prepare = HfVit(path=plain_vit(tmp_path, pixels=pixels)).build().prepare
    assert (list(prepare.mean), list(prepare.std), prepare.fit) == (
        pytest.approx(mean),
        pytest.approx(std),
        fit,
    )


def test_pixel_statistics_of_mae_and_of_settings(tmp_path):
    folder = write_folder(tmp_path / "a", spelled(official_state(), *SPELLINGS[0]), CONFIG)
    prepare = HfVitMae(path=folder).build().prepare
    assert (prepare.mean, prepare.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    prepare = HfVitMae(path=folder, mean=[0.1, 0.1, 0.1], std=[0.3, 0.3, 0.3], fit="pad").build().prepare
    assert (prepare.mean, prepare.std, prepare.fit) == ((0.1, 0.1, 0.1), (0.3, 0.3, 0.3), "pad")


WRONG_CONFIG = [
    (
        {"model_type": "swin"},
        {},
        "about a model of the type 'swin', wanted 'vit'\ngive a ViT or ViTMAE folder",
    ),
    ({"model_type": "vit_mae"}, {}, "of the type 'vit_mae', wanted 'vit'\nencoder:hf-vitmae reads it"),
    ({"hidden_act": "relu"}, {}, "hidden_act is 'relu', wanted 'gelu', which our blocks compute"),
    ({"hidden_size": "24"}, {}, "hidden_size is '24', wanted a whole number"),
    ({"hidden_size": True}, {}, "hidden_size is 'True', wanted a whole number"),
    ({"num_hidden_layers": 0}, {}, "num_hidden_layers is '0', wanted a number of at least 1"),
    ({"patch_size": [4, 2]}, {}, "patch_size is '[4, 2]', wanted square patches"),
    ({"image_size": [16]}, {}, "image_size is '[16]', wanted a whole number, or two of them"),
    ({"image_size": 18}, {}, "18 is no multiple of the patch 4; near it: 16 or 20"),
    ({"num_attention_heads": 5}, {}, "24 is no multiple of 5 heads"),
    ({"qkv_bias": "yes"}, {}, "qkv_bias is 'yes', wanted bool"),
    ({}, {"image_mean": "grey"}, "image_mean is 'grey', wanted numbers"),
    ({}, {"image_std": [0.5, 0.5]}, "needs one number for each of 3 channels, found 2"),
    ({}, {"rescale_factor": 0}, "rescale_factor is '0.0', wanted numbers above 0"),
]


@pytest.mark.parametrize(("config", "pixels", "message"), WRONG_CONFIG)
def test_a_wrong_config_is_one_mistake_before_anything_is_built(tmp_path, config, pixels, message):
    folder = plain_vit(tmp_path, config, pixels)
    with pytest.raises(RecipeError) as caught:
        HfVit(path=folder).build()
    (mistake,) = caught.value.mistakes
    assert mistake.path == "path"
    assert message in mistake.message


WRONG_SETTINGS = [
    ({"image": 18}, "image", "18 is no multiple of the patch 4; near it: 16 or 20"),
    ({"mean": [0.5]}, "mean", "needs one number for each of 3 channels, found 1"),
]


@pytest.mark.parametrize(("settings", "name", "message"), WRONG_SETTINGS)
def test_a_wrong_setting_is_told_at_its_name(tmp_path, settings, name, message):
    with pytest.raises(RecipeError) as caught:
        HfVit(path=plain_vit(tmp_path), **settings).build()
    assert [(mistake.path, mistake.message) for mistake in caught.value.mistakes] == [(name, message)]


def test_weights_of_another_size_than_the_config_are_shown_in_a_table(tmp_path):
    folder = plain_vit(tmp_path, {"hidden_size": 32, "num_hidden_layers": 3, "patch_size": 2})
    with pytest.raises(UserError) as caught:
        HfVit(path=folder).build()
    assert caught.value.what == f"the weights in {folder} are not of the size that config.json says"
    rows = [line.split() for line in caught.value.why.splitlines()]
    assert rows[0] == ["config.json", "weights"]
    assert ["width", "32", "24", "←"] in rows
    assert ["patch", "2", "4", "←"] in rows
    assert ["blocks", "3", "2", "←"] in rows
    assert ["channels", "3", "3"] in rows


def test_a_decoder_whose_mlps_are_narrower_is_refused(tmp_path):
    state = official_state()
    state |= {f"decoder_blocks.0.mlp.{name}": numbers(name, *shape) for name, shape in NARROW.items()}
    tensors = spelled(state, *SPELLINGS[0])
    folder = write_folder(tmp_path / "a", tensors, CONFIG | {"decoder_intermediate_size": 32})
    with pytest.raises(UserError, match=r"hidden width of decoder MLPs +64 +32 ←"):
        from_transformers(folder)
    assert HfVitMae(path=folder).build().depth == 2


NARROW = {"fc1.weight": (32, 16), "fc1.bias": (32,), "fc2.weight": (16, 32)}


def test_queries_without_keys(tmp_path):
    tensors = spelled(official_state(), *SPELLINGS[0])
    del tensors["vit.encoder.layer.1.attention.attention.key.bias"]
    folder = write_folder(tmp_path / "a", tensors, CONFIG)
    with pytest.raises(UserError) as caught:
        from_transformers(folder)
    assert caught.value.what.endswith("model.safetensors has not all of queries, keys and values")
    assert caught.value.why == "of blocks.1.attn.qkv.bias it has only query, value"


def test_folders_without_weights(tmp_path):
    folder = plain_vit(tmp_path)
    (folder / "model.safetensors").rename(folder / "moved")
    with pytest.raises(
        UserError, match=r"vit has no model.safetensors\n.*\n.*neither model.safetensors nor pytorch_"
    ):
        HfVit(path=folder).build()
    (folder / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(UserError, match="its weights are in several pieces\n.*max_shard_size"):
        HfVit(path=folder).build()


def test_an_older_folder_with_pytorch_model_bin(tmp_path):
    folder = plain_vit(tmp_path)
    (folder / "model.safetensors").unlink()
    state = official_state(decoder=0) | {"pos_embed": numbers("learned", 1, 17, 24)}
    torch.save(spelled(state, *SPELLINGS[1], prefix=""), folder / "pytorch_model.bin")
    assert torch.equal(HfVit(path=folder).build().norm.weight, state["norm.weight"])


@pytest.mark.parametrize(
    ("name", "why"), [("nowhere", "there is no such folder"), ("empty", "it has no config.json")]
)
def test_no_folder_of_a_model(tmp_path, name, why):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError) as caught:
        from_transformers(tmp_path / name)
    assert caught.value.what == f"{tmp_path / name} is no folder of a transformers model"
    assert caught.value.why == why


@pytest.mark.parametrize(("text", "what"), [("{", "cannot be read"), ("[1]", "holds no table")])
def test_a_config_that_is_no_table(tmp_path, text, what):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=f"config.json {what}"):
        from_transformers(tmp_path)
