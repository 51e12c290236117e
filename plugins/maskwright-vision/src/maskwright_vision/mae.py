"""objective:mae — predict the pixels of hidden patches (He et al., "Masked Autoencoders", arXiv:2111.06377).

`B` batch, `N` patches, `K` visible, `R` = N - K hidden, `D` encoder width, `E` decoder width, `P` pixels of a patch.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_torch.blocks import Block, initialise
from maskwright_torch.contracts import Batch, Encoded, Filled, Loss
from maskwright_torch.inference import in_batches
from maskwright_torch.masking import choose, positions_of, take
from maskwright_torch.noise import permutation
from maskwright_torch.part import Part, inside
from maskwright_vision.patch_targets import Target, make_target
from maskwright_vision.pictures import as_pixels, unpatchify
from maskwright_vision.positions import sin_cos_table

TargetName = Literal["pixels", "normalised", "pca", "tokens"]


class Mae(Part):
    """Encoder on the visible patches, a light decoder on all of them, the loss on the hidden ones."""

    def __init__(
        self,
        encoder: Any,
        masker: Any,
        ratio: Any,
        *,
        decoder_width: int = 512,
        decoder_depth: int = 8,
        decoder_heads: int = 16,
        target: TargetName = "normalised",
        components: int = 16,
        vocabulary: int = 64,
        loss_on: Literal["hidden", "all"] = "hidden",
        eps: float = 1e-6,
    ) -> None:
        super().__init__()
        self.encoder, self.masker, self.ratio, self.loss_on = encoder, masker, ratio, loss_on
        self.prepare = encoder.prepare
        self.target: Target = make_target(target, encoder.space.values, components, vocabulary)
        self.decoder_embed = nn.Linear(encoder.width, decoder_width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, decoder_width))
        self.register_buffer("decoder_pos_embed", sin_cos_table(decoder_width, encoder.space.grid)[None])
        self.decoder_blocks = nn.ModuleList(
            Block(decoder_width, decoder_heads, eps=eps) for _ in range(decoder_depth)
        )
        self.decoder_norm = nn.LayerNorm(decoder_width, eps=eps)
        self.decoder_pred = nn.Linear(decoder_width, self.target.width)
        for part in (self.decoder_embed, self.decoder_blocks, self.decoder_norm, self.decoder_pred):
            initialise(part)
        nn.init.normal_(self.mask_token, std=0.02)

    # -- training --------------------------------------------------------------------------------------------

    def forward(self, batch: Batch, step: Step) -> Loss:
        return self.loss(batch, choose(self.encoder, self.masker, self.ratio, batch, step))

    def loss(self, batch: Batch, hidden: Tensor) -> Loss:
        """The loss of given masks, bool (B, N)."""
        encoded, wanted = self.encode(batch, hidden)
        predicted = self.decode(encoded, wanted)
        with torch.autocast(wanted.device.type, enabled=False):  # targets are data: in full precision
            truth = self.target.of(take(self.encoder.targets(batch), wanted))
        errors = self.target.errors(predicted, truth)
        parts = {"hidden": hidden.float().mean()}
        return Loss.of(errors.sum(), errors.new_tensor(float(errors.numel())), parts, encoded)

    def encode(self, batch: Batch, hidden: Tensor) -> tuple[Encoded, Tensor]:
        """The encoder's pass, and int64 (B, R or N): the patches that the loss is about."""
        count = int(hidden[0].sum())
        if count == hidden.shape[1]:
            raise UserError("every patch is hidden", where="ratio", why=_shape(hidden), cure="a lower ratio")
        if count == 0 and self.loss_on == "hidden":
            raise UserError(
                "no patch is hidden, so there is nothing to predict",
                where="ratio",
                why=_shape(hidden),
                cure='a higher ratio, or loss_on = "all" for a plain autoencoder',
            )
        everything = torch.ones_like(hidden)
        wanted = positions_of(hidden if self.loss_on == "hidden" else everything, "hidden")
        return self.encoder(batch, hidden), wanted

    def decode(self, encoded: Encoded, wanted: Tensor) -> Tensor:
        """Predictions (B, R, target width) for the patches `wanted`: those that are not in `encoded`, or all of them.

        The decoder does not care about the order of its tokens, only about their positions: hidden patches are put
        last instead of sorted in, and the last block computes nothing that no prediction is read from.
        """
        place = self.decoder_pos_embed
        states = self.decoder_embed(encoded.states) + place[0, 1:][encoded.index]
        prefix = self.decoder_embed(encoded.prefix) + place[:, :1]
        pieces, order = [prefix, states], encoded.index
        absent = place.shape[1] - 1 - order.shape[1]
        if absent:
            # What is absent is what is wanted, unless the loss is on all patches.
            lacking = (
                wanted
                if wanted.shape[1] == absent
                else positions_of(_complement(order, place.shape[1] - 1), "hidden")
            )
            pieces.append(self.mask_token + place[0, 1:][lacking])
            order = torch.cat([order, lacking], dim=1)
        x = torch.cat(pieces, dim=1)
        at: Tensor | int = absent
        if wanted.shape[1] != absent:  # then the predictions are not simply those of the last tokens
            at = prefix.shape[1] + order.argsort(dim=1).gather(1, wanted)
        for number, block in enumerate(self.decoder_blocks):
            x = block(x, only=at if number == len(self.decoder_blocks) - 1 else None)
        if not len(self.decoder_blocks):
            x = x[:, -at:] if isinstance(at, int) else take(x, at)
        return self.decoder_pred(self.decoder_norm(x))

    # -- what was learned, put to work -------------------------------------------------------------------------

    def fill(self, batch: Batch, hidden: Tensor, step: Step) -> Filled:
        """Predictions as normalised pixels where hidden, the picture's own elsewhere."""
        own = self.encoder.targets(batch)
        if not bool(hidden.any()):
            return Filled(own)
        wanted = positions_of(hidden, "hidden")
        predicted = self.decode(self.encoder(batch, hidden), wanted)
        pixels = self.target.pixels(predicted, take(own, wanted))
        index = wanted[..., None].expand(-1, -1, own.shape[-1])
        return Filled(own.scatter(1, index, pixels.to(own.dtype)))

    def fields(
        self, item: Mapping[str, Any], batch: Batch, row: int, filled: Filled, hidden: Tensor
    ) -> dict[str, Any]:
        """What pipeline:fill adds to an item: uint8 `filled` (H, W, C) and bool `hidden` on the grid of patches."""
        picture = unpatchify(filled.values[row : row + 1], self.encoder.patch, self.encoder.grid)[0]
        return {
            "filled": as_pixels(self.encoder.prepare.raw(picture)),
            "hidden": hidden[row].reshape(self.encoder.grid).cpu().numpy(),
        }

    def read(self, argument: str) -> Iterator[Mapping[str, Any]]:
        """Items from a picture file or a folder of pictures."""
        return self.encoder.read(argument)

    def write(self, item: Mapping[str, Any], path: Path) -> None:
        """A PNG: original, hidden, filled."""
        from maskwright_vision.drawing import write_triptych

        write_triptych(item, self.encoder.prepare, self.target.notice, path)

    def adapt(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weights of the same objective for another picture size."""
        encoder = self.encoder.adapt(inside(state, "encoder")) if hasattr(self.encoder, "adapt") else {}
        state |= {f"encoder.{name}": tensor for name, tensor in encoder.items()}
        table = state.get("decoder_pos_embed")
        if table is not None and table.shape != self.decoder_pos_embed.shape:
            state["decoder_pos_embed"] = self.decoder_pos_embed.clone()  # fixed: made anew for the new grid
        return state

    # -- targets that are fitted -------------------------------------------------------------------------------

    def fit(self, data: Any, step: Step) -> None:
        """Principal components or clusters of the patches of the train split; other targets need none."""
        if not self.target.fit_pictures:
            return
        chosen = permutation(step.stream("pictures"), data.length("train"))[: self.target.fit_pictures]
        items = (data.item("train", i, step) for i in chosen.tolist())
        patches = [
            self.encoder.targets(batch).flatten(0, 1)
            for _, batch in in_batches(self, self.encoder.prepare, items, step)
        ]
        self.target.fit(torch.cat(patches), step)


def _complement(index: Tensor, total: int) -> Tensor:
    """bool (B, N): positions that are not in `index`."""
    everything = torch.ones(len(index), total, dtype=torch.bool, device=index.device)
    return everything.scatter(1, index, False)


def _shape(hidden: Tensor) -> str:
    return f"{int(hidden[0].sum())} of {hidden.shape[1]} patches are hidden"
