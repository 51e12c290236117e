"""Our parts as weights of other programs: transformers folders, official MAE checkpoints, timm's ViT.

An exporter gets a part and a path. What the other program cannot express is refused, in words.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor, nn

from maskwright.errors import UserError
from maskwright.folder import write_folder
from maskwright_torch.part import State
from maskwright_torch.prunable import whole_encoder
from maskwright_vision.checkpoint_files import OF_ENCODER, OF_OBJECTIVE, note, write_weights
from maskwright_vision.mae import Mae
from maskwright_vision.official_weights import encoder_to_official, mae_to_official
from maskwright_vision.patch_targets import Normalised, Target
from maskwright_vision.transformers_config import CONFIG, PREPROCESSOR, WEIGHTS, config_of, preprocessor_of
from maskwright_vision.transformers_weights import from_official
from maskwright_vision.vit import VisionTransformer

WHOLE = "--to transformers-zero-filled writes the shape from before, with zeros for what was removed"


def to_transformers(part: Any, out: Path) -> None:
    """A folder that ViTMAEForPreTraining opens, or ViTModel where the part is an encoder."""
    encoder, objective, state = _taken_apart(part)
    if not encoder["final_norm"]:
        raise _cannot("transformers' ViT always has a norm after the last block, this encoder has none")
    if objective:
        if objective["eps"] != encoder["eps"]:
            raise _cannot(f"there is one epsilon there, here {encoder['eps']:g} and {objective['eps']:g}")
        if not encoder["qkv_bias"]:
            raise _cannot(
                "there the decoder has a bias of queries, keys and values exactly if the encoder has"
            )
        if not isinstance(encoder["image"], int):
            raise _cannot(
                f"its ViTMAE takes square pictures only, these are {encoder['image'][0]} x {encoder['image'][1]}",
                "--to mae-official, or --part with the encoder alone",
            )
    if encoder["fit"] == "pad":
        note("its processor does not pad: it will stretch pictures of another shape")

    def fill(folder: Path) -> None:
        for name, table in (
            (CONFIG, config_of(encoder, objective)),
            (PREPROCESSOR, preprocessor_of(encoder)),
        ):
            (folder / name).write_text(json.dumps(table, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        save_file(from_official(state), str(folder / WEIGHTS), {"format": "pt"})

    write_folder(out, fill)


def to_transformers_zero_filled(part: Any, out: Path) -> None:
    """As `to_transformers`, with zeros in place of heads and neurons that were removed."""
    with whole_encoder(part) as whole:
        to_transformers(whole, out)


def to_official(part: Any, out: Path) -> None:
    """A .pth that the official scripts load: {"model": state}, and our settings beside it."""
    encoder, objective, state = _taken_apart(part)
    if out.suffix not in (".pth", ".pt"):
        raise UserError(
            f"{out} is no name for an official checkpoint", where=str(out), cure="a name that ends in .pth"
        )
    write_weights(out, state, _told(encoder, objective))


def to_timm(part: Any, out: Path) -> None:
    """A .safetensors or .pth file with the names of timm's VisionTransformer."""
    encoder, objective, state = _taken_apart(part)
    if objective:
        raise _cannot("timm has no MAE", "--part with the encoder alone, or --to mae-official")
    write_weights(out, state, _told(encoder, {}))


def _told(encoder: Mapping[str, Any], objective: Mapping[str, Any]) -> dict[str, Any]:
    return {key: encoder[key] for key in OF_ENCODER} | {
        key: objective[key] for key in OF_OBJECTIVE if objective
    }


def _cannot(why: str, cure: str = "--to mae-official keeps it") -> UserError:
    return UserError("this part cannot be written in that format", why=why, cure=cure)


def _taken_apart(part: Any) -> tuple[dict[str, Any], dict[str, Any], State]:
    """Settings of the encoder and of the objective (empty for an encoder), and float32 tensors by official names."""
    encoder = part.encoder if isinstance(part, Mae) else part
    if not isinstance(encoder, VisionTransformer):
        raise _cannot(f"it is for our vision transformer, not for {type(encoder).__name__}", "another format")
    settings = _settings_of(encoder)
    state = {
        name: _plain(tensor)
        for name, tensor in part.state_dict().items()
        if not name.removeprefix("encoder.").startswith("kept.")
    }
    if not isinstance(part, Mae):
        if encoder.hides == "replace":
            note("the encoder's mask token stays behind: a plain ViT never hides a patch")
        return settings, {}, encoder_to_official(state, encoder.patch)
    if encoder.hides == "replace":
        raise _cannot(
            "there hidden patches never enter the encoder, here they do", "--part with the encoder alone"
        )
    if type(part.target) not in (Target, Normalised):
        raise _cannot("there the target is pixels or normalised pixels", "--part with the encoder alone")
    heads, _ = _uniform(part.decoder_blocks) if len(part.decoder_blocks) else (1, 0)
    objective = {
        "decoder_width": part.decoder_norm.normalized_shape[0],
        "decoder_depth": len(part.decoder_blocks),
        "decoder_heads": heads,
        "eps": part.decoder_norm.eps,
        "target": "normalised" if isinstance(part.target, Normalised) else "pixels",
        "ratio": float(part.ratio(1.0)),  # the share that is hidden at the end of training
    }
    return settings, objective, mae_to_official(state, encoder.patch)


def _plain(tensor: Tensor) -> Tensor:
    tensor = tensor.detach().cpu()
    return tensor.float().contiguous() if tensor.is_floating_point() else tensor


def _settings_of(encoder: VisionTransformer) -> dict[str, Any]:
    """The settings of encoder:vit that give this network."""
    prepare, first = encoder.prepare, encoder.blocks[0]
    heads, hidden = _uniform(encoder.blocks)
    square = prepare.height == prepare.width
    return {
        "image": prepare.height if square else [prepare.height, prepare.width],
        "patch": encoder.patch,
        "channels": prepare.channels,
        "width": encoder.width,
        "depth": encoder.depth,
        "heads": heads,
        "mlp_ratio": hidden / encoder.width,
        "eps": first.norm1.eps,
        "qkv_bias": first.attn.qkv.bias is not None,
        "pool": encoder.pool,
        "positions": "learned" if isinstance(encoder.pos_embed, nn.Parameter) else "sin-cos",
        "final_norm": not isinstance(encoder.norm, nn.Identity),
        "mean": list(prepare.mean),
        "std": list(prepare.std),
        "fit": prepare.fit,
    }


def _uniform(blocks: Any) -> tuple[int, int]:
    """(heads, hidden width of the MLP) of all blocks; compressed networks may have blocks of different sizes."""
    sizes = {(block.attn.heads, block.mlp.fc1.out_features, *block.attn.qkv.weight.shape) for block in blocks}
    heads, hidden, rows, columns = next(iter(sizes))
    if len(sizes) != 1 or rows != 3 * columns or not hidden:
        shape = [[block.attn.heads, block.mlp.fc1.out_features] for block in blocks]
        raise _cannot(f"there blocks are alike and whole, here [heads, neurons] are {shape}", WHOLE)
    return heads, hidden
