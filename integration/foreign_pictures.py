"""Networks of transformers with weights that are nowhere zero, and pictures, for the comparisons with it."""

import contextlib
import io
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import ViTConfig, ViTMAEConfig, ViTMAEForPreTraining, ViTModel

from maskwright_torch.noise import identity, uniform
from maskwright_vision.positions import sin_cos_table

SIZES: dict[str, Any] = {
    "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 96, "patch_size": 4,
}  # fmt: skip
DECODER: dict[str, Any] = {
    "decoder_hidden_size": 16, "decoder_num_hidden_layers": 2, "decoder_num_attention_heads": 2,
    "decoder_intermediate_size": 64,
}  # fmt: skip


def noise(name: str, *shape: int) -> Tensor:
    """float32 in [0, 1), another one for each name."""
    return uniform(7, torch.tensor([identity(name)]), math.prod(shape))[0].float().reshape(shape)


def stirred(model: nn.Module) -> nn.Module:
    """Every weight moved away from where it starts: fresh norms are the identity and would hide a mistake."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.add_(0.4 * (noise(name, *parameter.shape) - 0.5))
    return model.eval()


def their_mae(norm_pix: bool = False, image: int | list[int] = 24, **more: Any) -> ViTMAEForPreTraining:
    """A ViTMAE of theirs; its tables of positions, all zeros in a fresh one, are copied in."""
    config = ViTMAEConfig(**SIZES, **DECODER, image_size=image, norm_pix_loss=norm_pix, **more)
    model = stirred(ViTMAEForPreTraining(config))
    height, width = image if isinstance(image, list) else (image, image)
    grid = (height // 4, width // 4)
    with torch.no_grad():
        model.vit.embeddings.position_embeddings.copy_(sin_cos_table(24, grid)[None])
        model.decoder.decoder_pos_embed.copy_(sin_cos_table(16, grid)[None])
    return model


def their_vit(image: int | list[int] = 24, **more: Any) -> ViTModel:
    return stirred(ViTModel(ViTConfig(**SIZES, image_size=image, **more), add_pooling_layer=False))


def saved(model: Any, folder: Path) -> Path:
    with contextlib.redirect_stderr(io.StringIO()):  # a progress bar
        model.save_pretrained(folder)
    return folder


def opened(cls: Any, folder: Path, **more: Any) -> Any:
    """Their model from a folder, which must hold exactly the tensors that it wants."""
    with contextlib.redirect_stderr(io.StringIO()):
        model, report = cls.from_pretrained(folder, output_loading_info=True, **more)
    assert not any(report.values()), report
    return model.eval()


def pictures(channels: int = 3, height: int = 24, width: int = 24) -> Tensor:
    """(2, channels, height, width), normalised."""
    return 2 * noise("pictures", 2, channels, height, width) - 1


def batch_of(pixels: Tensor) -> dict[str, Tensor]:
    return {"pixels": pixels, "rows": torch.arange(len(pixels))}
