"""Transformer blocks that the encoders and decoders of the plugins share.

Names inside follow the ViT convention (`norm1`, `attn.qkv`, `attn.proj`, `norm2`, `mlp.fc1`, `mlp.fc2`), which the
official MAE and timm checkpoints use too. `x` is (B, N, D), heads are H, a head has S numbers: D/H until heads are
removed, which changes H and leaves S and D. Blocks may then differ in H, which may be 0.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskwright_torch.masking import take


@dataclass
class Cache:
    """Keys and values of the positions seen so far, one (B, H, N, S) pair for each block that writes to it."""

    keys: dict[int, Tensor] = field(default_factory=dict)
    values: dict[int, Tensor] = field(default_factory=dict)

    def extend(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """All keys and values of a block, the new ones last."""
        if layer in self.keys:
            key = torch.cat([self.keys[layer], key], dim=2)
            value = torch.cat([self.values[layer], value], dim=2)
        self.keys[layer], self.values[layer] = key, value
        return key, value

    @property
    def length(self) -> int:
        """Positions held."""
        return next(iter(self.keys.values())).shape[2] if self.keys else 0

    def drop_last(self, count: int) -> None:
        """Forget the last `count` positions."""
        kept = self.length - count
        for held in (self.keys, self.values):
            held.update({layer: tensor[:, :, :kept] for layer, tensor in held.items()})

    def select(self, rows: Tensor) -> None:
        """Go on with these rows, int64 (B',); one may be taken several times."""
        for held in (self.keys, self.values):
            held.update({layer: tensor[rows] for layer, tensor in held.items()})


class Attention(nn.Module):
    """Multi-head self-attention through torch's fused kernels.

    `heads` may become fewer, with `qkv` and `proj` made narrower. Of no heads the bias of `proj` is left.
    """

    def __init__(self, width: int, heads: int, *, bias: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is no multiple of {heads} heads")
        self.heads, self.size, self.dropout = heads, width // heads, dropout
        self.qkv = nn.Linear(width, 3 * width, bias=bias)
        self.proj = nn.Linear(width, width)

    def forward(
        self,
        x: Tensor,
        attend: Tensor | None = None,
        *,
        queries: Tensor | None = None,
        context: int = 0,
        inner: Tensor | None = None,
        cache: Cache | None = None,
        layer: int = 0,
    ) -> Tensor:
        """`attend`: bool (True = may read) or an additive float, broadcast to (B, H, queries, keys).

        `queries` (B, Q, D): only these rows ask, all of `x` answers; without it every position asks. With `context`
        the first so many positions ask each other alone, by `inner`, and `attend` is for the rest, who ask all. With a
        `cache` the positions of `x` follow those in the cache.
        """
        if queries is None:
            q, k, v = (self._split(part) for part in self.qkv(x).chunk(3, dim=-1))
        else:
            weight, bias, rows = self.qkv.weight, self.qkv.bias, self.heads * self.size
            q = self._split(F.linear(queries, weight[:rows], None if bias is None else bias[:rows]))
            both = F.linear(x, weight[rows:], None if bias is None else bias[rows:])
            k, v = (self._split(part) for part in both.chunk(2, dim=-1))
        if cache is not None:
            k, v = cache.extend(layer, k, v)
        if context:
            first = self._read(q[:, :, :context], k[:, :, :context], v[:, :, :context], inner)
            return self.proj(torch.cat([first, self._read(q[:, :, context:], k, v, attend)], dim=1))
        return self.proj(self._read(q, k, v, attend))

    def _read(self, q: Tensor, k: Tensor, v: Tensor, attend: Tensor | None) -> Tensor:
        """(B, H, Q, S) each -> (B, Q, H * S)"""
        out = q  # of no heads, for which no kernel is asked
        if self.heads:
            out = F.scaled_dot_product_attention(
                q, k, v, attn_mask=attend, dropout_p=self.dropout if self.training else 0.0
            )
        return out.transpose(1, 2).flatten(2)

    def _split(self, x: Tensor) -> Tensor:
        """(B, N, H * S) -> (B, H, N, S)"""
        return x.unflatten(-1, (self.heads, self.size)).transpose(1, 2)


class Mlp(nn.Module):
    """Two linear maps with a GELU (erf) between them."""

    def __init__(self, width: int, hidden: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.fc2(F.gelu(self.fc1(x))))


class DropPath(nn.Module):
    """Leaves out the whole branch for a share of the rows, in training (stochastic depth, arXiv:1603.09382)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0.0:
            return x
        kept = x.new_empty((x.shape[0],) + (1,) * (x.ndim - 1)).bernoulli_(1 - self.rate)
        return x * kept / (1 - self.rate)


class Block(nn.Module):
    """Attention and MLP with residual connections; norm before each (default) or after."""

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        mlp_ratio: float = 4.0,
        pre_norm: bool = True,
        dropout: float = 0.0,
        drop_path: float = 0.0,
        eps: float = 1e-6,
        qkv_bias: bool = True,
    ) -> None:
        super().__init__()
        self.pre_norm = pre_norm
        self.norm1 = nn.LayerNorm(width, eps=eps)
        self.attn = Attention(width, heads, bias=qkv_bias, dropout=dropout)
        self.norm2 = nn.LayerNorm(width, eps=eps)
        self.mlp = Mlp(width, round(width * mlp_ratio), dropout=dropout)
        self.drop = nn.Dropout(dropout)
        self.drop_path = DropPath(drop_path)

    def forward(
        self,
        x: Tensor,
        attend: Tensor | None = None,
        *,
        only: Tensor | int | None = None,
        context: int = 0,
        inner: Tensor | None = None,
        cache: Cache | None = None,
        layer: int = 0,
    ) -> Tensor:
        """`only`: compute the outputs of these positions alone: int64 (B, K), or the last K. The others answer.

        `context` and `inner`: see Attention.
        """
        asking = x if only is None else _some(x, only)
        if self.pre_norm:
            normed = self.norm1(x)
            queries = None if only is None else _some(normed, only)
            out = self.attn(
                normed, attend, queries=queries, context=context, inner=inner, cache=cache, layer=layer
            )
            x = asking + self.drop_path(self.drop(out))
            return x + self.drop_path(self.mlp(self.norm2(x)))
        queries = None if only is None else asking
        out = self.attn(x, attend, queries=queries, context=context, inner=inner, cache=cache, layer=layer)
        x = self.norm1(asking + self.drop_path(self.drop(out)))
        return self.norm2(x + self.drop_path(self.mlp(x)))


def _some(x: Tensor, only: Tensor | int) -> Tensor:
    return x[:, -only:] if isinstance(only, int) else take(x, only)


class RelativeBias(nn.Module):
    """A learned number for each head and bucket of distances, added to the attention scores (T5, arXiv:1910.10683).

    Half of the buckets of each direction are exact distances, the rest grow logarithmically up to `reach`.
    """

    def __init__(self, heads: int, buckets: int = 32, reach: int = 128) -> None:
        super().__init__()
        self.buckets, self.reach = buckets, reach
        self.table = nn.Embedding(buckets, heads)

    def bucket(self, distance: Tensor) -> Tensor:
        """Key position minus query position -> bucket; one half of the buckets for each direction."""
        half = self.buckets // 2
        exact = half // 2
        far = distance.abs()
        log = torch.log(far.clamp(min=1).float() / exact) / math.log(self.reach / exact)
        grown = (exact + (log * (half - exact)).long()).clamp(max=half - 1)
        return torch.where(far < exact, far, grown) + (distance > 0) * half

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Positions (…, Q) and (…, K) -> (…, H, Q, K), to be added to the scores."""
        found = self.table(self.bucket(keys[..., None, :] - queries[..., :, None]))
        return found.movedim(-1, -3)


def initialise(module: nn.Module, linear: Callable[[Tensor], object] = nn.init.xavier_uniform_) -> None:
    """Linear maps by `linear` with zero bias, norms as identity: what MAE and BERT-like models start from."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            linear(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.LayerNorm):
            nn.init.ones_(part.weight)
            nn.init.zeros_(part.bias)
