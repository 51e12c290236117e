"""A plain vision transformer whose hidden patches never enter it, or enter as mask tokens (the control).

Names of weights follow the official MAE checkpoints (`blocks.0.attn.qkv` …), but `patch_embed` is one linear map on
flattened patches in the order (row, column, channel): the patches that are hidden are never embedded.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from maskwright.step import Step
from maskwright_torch.blocks import Block, initialise
from maskwright_torch.contracts import ROWS, Baseline, Batch, Encoded, Space, Units
from maskwright_torch.masking import positions_of, take
from maskwright_torch.prunable import PrunableBlocks
from maskwright_vision.pictures import ImagePrepare, patchify, raw_pixels
from maskwright_vision.positions import resample_table, sin_cos_table


class VisionTransformer(PrunableBlocks):
    """Pre-norm transformer on patches with a class token. States come out after the final norm."""

    def __init__(
        self,
        prepare: ImagePrepare,
        *,
        patch: int,
        width: int,
        depth: int,
        heads: int,
        mlp_ratio: float = 4.0,
        drop_path: float = 0.0,
        eps: float = 1e-6,
        qkv_bias: bool = True,
        pool: Literal["class", "mean"] = "class",
        positions: Literal["sin-cos", "learned"] = "sin-cos",
        hides: Literal["drop", "replace"] = "drop",
        final_norm: bool = True,
    ) -> None:
        super().__init__()
        self.prepare, self.patch, self.pool, self.hides = prepare, patch, pool, hides
        self.width = self.pooled_width = width
        self.depth = depth
        self.grid = (prepare.height // patch, prepare.width // patch)
        values = patch * patch * prepare.channels
        self.space = Space(self.grid, values=values)
        self.patch_embed = nn.Linear(values, width)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        table = sin_cos_table(width, self.grid)[None]  # (1, 1 + N, D)
        if positions == "learned":
            self.pos_embed = nn.Parameter(torch.zeros_like(table))
        else:
            self.register_buffer("pos_embed", table)
        # Kept with the weights, because a table of positions does not tell its own shape.
        self.register_buffer("table_grid", torch.tensor(self.grid))
        rates = [drop_path * i / max(depth - 1, 1) for i in range(depth)]
        self.blocks = nn.ModuleList(
            Block(width, heads, mlp_ratio=mlp_ratio, drop_path=rate, eps=eps, qkv_bias=qkv_bias)
            for rate in rates
        )
        self.norm: nn.Module = nn.LayerNorm(width, eps=eps) if final_norm else nn.Identity()
        if hides == "replace":
            self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.whole = self.shape
        self.reset()

    def reset(self) -> None:
        """New weights, as at the start; a fixed table of positions stays."""
        initialise(self)
        nn.init.normal_(self.cls_token, std=0.02)
        if isinstance(self.pos_embed, nn.Parameter):
            nn.init.trunc_normal_(self.pos_embed, std=0.02)
        if self.hides == "replace":
            nn.init.normal_(self.mask_token, std=0.02)

    # -- the encoder contract ------------------------------------------------------------------------------

    def targets(self, batch: Batch) -> Tensor:
        """(B, N, P): the normalised pixels of every patch."""
        return patchify(batch["pixels"], self.patch)

    def units(self, batch: Batch) -> Units:
        rows = batch[ROWS]
        count = self.grid[0] * self.grid[1]
        valid = torch.ones(len(rows), count, dtype=torch.bool, device=rows.device)
        return Units(valid, self.grid, torch.arange(count, device=rows.device), rows)

    def forward(self, batch: Batch, hidden: Tensor | None = None) -> Encoded:
        x, index = self.embedded(batch, hidden)
        for block in self.blocks:
            x = block(x)
        return self.encoded(x, index)

    # -- its steps, for objectives that need them apart ----------------------------------------------------

    def embedded(self, batch: Batch, hidden: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(B, 1 + M, D) tokens with positions, class token first; int64 (B, M) which patch each one is."""
        patches = self.targets(batch)
        place = self.pos_embed[:, 1:]
        everything = torch.arange(patches.shape[1], device=patches.device).expand(patches.shape[:2])
        if hidden is None:
            tokens, index = self.patch_embed(patches) + place, everything
        elif self.hides == "replace":
            tokens = torch.where(hidden[..., None], self.mask_token, self.patch_embed(patches)) + place
            index = everything
        else:
            index = positions_of(~hidden)
            tokens = self.patch_embed(take(patches, index)) + place[0][index]
        first = (self.cls_token + self.pos_embed[:, :1]).expand(len(tokens), -1, -1)
        return torch.cat([first, tokens], dim=1), index

    def encoded(self, x: Tensor, index: Tensor) -> Encoded:
        """The result, from the output of the last block."""
        x = self.norm(x)
        states = x[:, 1:]
        pooled = x[:, 0] if self.pool == "class" else states.mean(dim=1)
        valid = torch.ones(index.shape, dtype=torch.bool, device=index.device)
        return Encoded(states, index, valid, pooled, x[:, :1])

    # -- weights of another shape, layers, what it is compared with, files ----------------------------------

    def adapt(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weights of the same network for another picture size, with or without the final norm."""
        if isinstance(self.norm, nn.Identity):
            state = {name: tensor for name, tensor in state.items() if not name.startswith("norm.")}
        if "table_grid" in state and "pos_embed" in state:
            before = (int(state["table_grid"][0]), int(state["table_grid"][1]))
            if before != self.grid:
                made = resample_table(state["pos_embed"][0], before, self.grid)
                fixed = not isinstance(self.pos_embed, nn.Parameter)
                # A fixed table is made anew for the new grid, a learned one is resampled.
                state["pos_embed"] = self.pos_embed.detach().clone() if fixed else made[None]
                state["table_grid"] = torch.tensor(self.grid)
        return state

    def layer_of(self, name: str) -> int:
        """0 for what comes before the blocks, k + 1 for block k, depth + 1 for what follows: for layer-wise rates."""
        if name.startswith(("cls_token", "pos_embed", "patch_embed", "mask_token")):
            return 0
        return int(name.split(".")[1]) + 1 if name.startswith("blocks.") else self.depth + 1

    def baseline(
        self, known: Sequence[Mapping[str, Any]], asked: Sequence[Mapping[str, Any]], step: Step
    ) -> Baseline:
        """Raw pixels, which probes put beside this encoder."""
        return raw_pixels(self.prepare, known, asked, step)

    def read(self, argument: str) -> Iterator[Mapping[str, Any]]:
        """Items from a picture file or a folder of pictures."""
        from maskwright_vision.image_files import read_items

        return read_items(argument, self.prepare.channels)
