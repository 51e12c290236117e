"""Pictures as tensors: sizes, pixel statistics, patches."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_torch.contracts import Baseline

Fit = Literal["crop", "stretch", "pad"]

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def patchify(pixels: Tensor, patch: int) -> Tensor:
    """(B, C, H, W) -> (B, h*w, patch*patch*C): patches row by row, inside one (row, column, channel)."""
    batch, channels, height, width = pixels.shape
    rows, columns = height // patch, width // patch
    cut = pixels.reshape(batch, channels, rows, patch, columns, patch)
    return cut.permute(0, 2, 4, 3, 5, 1).reshape(batch, rows * columns, patch * patch * channels)


def unpatchify(patches: Tensor, patch: int, grid: tuple[int, int]) -> Tensor:
    """The inverse of `patchify`: (B, h*w, patch*patch*C) -> (B, C, H, W)."""
    rows, columns = grid
    channels = patches.shape[-1] // (patch * patch)
    cut = patches.reshape(-1, rows, columns, patch, patch, channels)
    return cut.permute(0, 5, 1, 3, 2, 4).reshape(-1, channels, rows * patch, columns * patch)


def as_tensor(pixels: np.ndarray) -> Tensor:
    """uint8 or uint16 (B, H, W, C) -> float32 (B, C, H, W) in [0, 1]."""
    scale = 255.0 if pixels.dtype == np.uint8 else 65535.0
    wide = pixels if pixels.dtype == np.uint8 else pixels.astype(np.float32)  # torch hardly knows uint16
    return torch.from_numpy(wide).permute(0, 3, 1, 2).contiguous().float() / scale


def as_pixels(tensor: Tensor) -> np.ndarray:
    """float (C, H, W) in [0, 1], clipped -> uint8 (H, W, C)."""
    levels = (tensor.detach().float().cpu().clamp(0, 1) * 255).round().to(torch.uint8)
    return levels.permute(1, 2, 0).contiguous().numpy()


@attrs.frozen
class ImagePrepare:
    """Raw items -> `pixels` (B, C, H, W), of the encoder's size, normalised; and `label` where all have one.

    Small and picklable: it runs in loader processes.
    """

    height: int
    width: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fit: Fit = "crop"

    def __call__(self, items: Sequence[Mapping[str, Any]], step: Step) -> dict[str, Tensor]:
        for item in items:
            self._check(item["pixels"], str(item.get("id", "")))
        kinds = {(item["pixels"].shape, item["pixels"].dtype) for item in items}
        if len(kinds) == 1:  # one resampling for all, which is several times faster for tiny pictures
            pictures = self._fitted(as_tensor(np.stack([item["pixels"] for item in items])))
        else:
            pictures = torch.cat([self._fitted(as_tensor(item["pixels"][None])) for item in items])
        batch = {"pixels": (pictures - self._row(self.mean)) / self._row(self.std)}
        if all("label" in item for item in items):
            batch["label"] = torch.tensor([int(item["label"]) for item in items])
        return batch

    def _row(self, values: tuple[float, ...]) -> Tensor:
        return torch.tensor(values, dtype=torch.float32)[:, None, None]

    def raw(self, normalised: Tensor) -> Tensor:
        """Normalised pixels (…, C, H, W) back to [0, 1]."""
        mean, std = (self._row(v).to(normalised.device, normalised.dtype) for v in (self.mean, self.std))
        return normalised * std + mean

    def resized(self, pixels: np.ndarray, name: str = "") -> Tensor:
        """float32 (C, height, width) in [0, 1]: bicubic, cropped in the middle, stretched or padded as `fit` says."""
        self._check(pixels, name)
        return self._fitted(as_tensor(pixels[None]))[0]

    def _check(self, pixels: np.ndarray, name: str) -> None:
        if pixels.ndim != 3:
            raise UserError(
                "a picture has the axes height, width, channels",
                where=name,
                why=f"its pixels have the shape {pixels.shape}",
                cure="pixels[:, :, None] of one in shades of grey",
            )
        if pixels.shape[2] != self.channels:
            raise UserError(
                f"a picture has {pixels.shape[2]} channels, the encoder wants {self.channels}",
                where=name,
                why=f"its pixels have the shape {pixels.shape} (height, width, channels)",
                cure=f"channels={self.channels} of the data set, or channels={pixels.shape[2]} of the encoder",
            )

    def _fitted(self, pictures: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C, height, width)"""
        height, width = pictures.shape[2:]
        if (height, width) == (self.height, self.width):
            return pictures
        sides = (self.height / height, self.width / width)
        if self.fit == "stretch":
            return _resample(pictures, self.height, self.width)
        scale = max(sides) if self.fit == "crop" else min(sides)
        size = (max(round(height * scale), 1), max(round(width * scale), 1))
        pictures = _resample(pictures, *size)
        top, left = (self.height - size[0]) // 2, (self.width - size[1]) // 2
        # Negative padding crops; both fits put the middle of the picture into the middle.
        edges = (left, self.width - size[1] - left, top, self.height - size[0] - top)
        return F.pad(pictures, edges)


def raw_pixels(
    prepare: ImagePrepare, known: Sequence[Mapping[str, Any]], asked: Sequence[Mapping[str, Any]], step: Step
) -> Baseline:
    """float32 (items, C * H * W) of both: the pixels just as the encoder sees them."""
    first, second = (prepare(items, step)["pixels"].flatten(1).numpy() for items in (known, asked))
    return Baseline("raw_pixels", "raw pixels", first, second)


def _resample(pictures: Tensor, height: int, width: int) -> Tensor:
    if pictures.shape[2:] == (height, width):
        return pictures
    made = F.interpolate(pictures, (height, width), mode="bicubic", antialias=True, align_corners=False)
    return made.clamp(0, 1)
