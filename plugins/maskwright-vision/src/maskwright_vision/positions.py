"""The fixed table of positions of MAE, and its resampling for another grid."""

import torch
import torch.nn.functional as F
from torch import Tensor


def _waves(width: int, places: Tensor) -> Tensor:
    """[sin(u w_0) …, cos(u w_0) …] with w_i = 10000^(-i / (width/2)): (places, width), in float64."""
    rates = 10000.0 ** (-torch.arange(width // 2, dtype=torch.float64) / (width / 2))
    angles = places.double()[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def sin_cos_table(width: int, grid: tuple[int, int]) -> Tensor:
    """float32 (1 + h*w, width): zeros for the class token, then [waves of the column | waves of the row]."""
    rows, columns = grid
    row = torch.arange(rows).repeat_interleave(columns)
    column = torch.arange(columns).repeat(rows)
    table = torch.cat([_waves(width // 2, column), _waves(width // 2, row)], dim=1)
    return torch.cat([torch.zeros(1, width, dtype=torch.float64), table]).float()


def resample_table(table: Tensor, grid: tuple[int, int], wanted: tuple[int, int]) -> Tensor:
    """(1 + h*w, D) -> (1 + h'*w', D), bicubic; the class token's row stays as it is."""
    if grid == wanted:
        return table
    places = table[1:].T.reshape(1, -1, *grid)
    made = F.interpolate(places, wanted, mode="bicubic", align_corners=False)
    return torch.cat([table[:1], made.flatten(2)[0].T])
