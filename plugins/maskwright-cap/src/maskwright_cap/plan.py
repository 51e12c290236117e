"""What objective:cap was told to do."""

from typing import Literal

import attrs

from maskwright_cap.gates import Per
from maskwright_cap.masks import Scope
from maskwright_torch.features import Pool

Criterion = Literal["first-order", "magnitude", "movement", "soft-movement"]
Pruned = Literal["heads-and-neurons", "heads", "neurons", "weights"]
KINDS = {
    "heads-and-neurons": ("heads", "neurons"),
    "heads": ("heads",),
    "neurons": ("neurons",),
    "weights": (),
}


@attrs.frozen
class Plan:
    """The settings, see `params_cap.Cap`."""

    pruned: Pruned
    criterion: Criterion
    per: Per
    importance_items: int
    importance_batch: int
    floor: int
    update_every: int
    scope: Scope
    score_lr: float
    penalty: float
    task: float
    kd: float
    kd_temperature: float
    pool: Pool
    bank_share: float
    bank_batch: int
    snapshots: int
    snapshot_every: int
