"""A tiny encoder that can be pruned, for the contract checks and tests of whatever prunes encoders."""

import torch
from torch import Tensor, nn

from maskwright_torch.blocks import Block
from maskwright_torch.contracts import Batch, Encoded
from maskwright_torch.example_parts import SIZE, HeavierHalf, encoded, prepare
from maskwright_torch.part import seeded
from maskwright_torch.prunable import PrunableBlocks

WIDTH, DEPTH, HEADS, NEURONS = 16, 2, 4, 32


class SmallBlocks(PrunableBlocks):
    """Blocks with attention over the `real` numbers of an item; the mean of the states is the pooled vector."""

    width = pooled_width = WIDTH
    space = HeavierHalf.space
    targets, units = HeavierHalf.targets, HeavierHalf.units

    def __init__(self, depth: int = DEPTH, dropout: float = 0.0) -> None:
        super().__init__()
        self.prepare, self.depth = prepare, depth
        self.embed = nn.Linear(SIZE + 1, WIDTH)
        self.blocks = nn.ModuleList(
            Block(WIDTH, HEADS, mlp_ratio=NEURONS / WIDTH, dropout=dropout) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(WIDTH)
        self.whole = self.shape

    def layer_of(self, name: str) -> int:
        """0 for what comes before the blocks, k + 1 for block k, depth + 1 for what follows."""
        if name.startswith("blocks."):
            return int(name.split(".")[1]) + 1
        return 0 if name.startswith("embed") else self.depth + 1

    def forward(self, batch: Batch, hidden: Tensor | None = None) -> Encoded:
        numbers = self.targets(batch)
        place = torch.eye(SIZE, dtype=numbers.dtype, device=numbers.device).expand(numbers.shape[0], -1, -1)
        x = self.embed(torch.cat([place * numbers, numbers], dim=2))
        attend = batch["real"][:, None, None, :] if "real" in batch else None
        for block in self.blocks:
            x = block(x, attend)
        x = self.norm(x)
        return encoded(x, x.mean(dim=1))


def example_encoder(seed: int = 0, dropout: float = 0.0) -> SmallBlocks:
    """In evaluation mode or not, the same seed gives the same weights."""
    return seeded(seed, lambda: SmallBlocks(dropout=dropout))


def half_pruned() -> nn.Module:
    """A built objective:cap around that encoder, half of whose heads and neurons are closed."""
    from maskwright_cap.params_cap import Cap
    from maskwright_torch.params_classify import Classify

    inner = Classify(encoder=example_encoder(), classes=2)
    made = Cap(inner=inner, criterion="magnitude", prc=False, snc=False).build()
    for gate in made.gates.gates:
        gate.open[: gate.group.count // 2] = False
    return made
