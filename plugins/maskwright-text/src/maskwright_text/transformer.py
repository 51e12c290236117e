"""encoder:text — a transformer over tokens, built as BERT is, with the norm before or after each part.

`B` batch, `T` tokens, `D` width, `H` heads, `V` vocabulary. Hidden tokens enter as the mask token.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_text.reading import read_texts
from maskwright_text.text_batches import TextPrepare
from maskwright_text.token_units import OverTokens
from maskwright_text.vocabulary import VocabularyHead, initial_std
from maskwright_torch.blocks import Block, Cache, RelativeBias
from maskwright_torch.contracts import Baseline, Batch, Encoded, Space
from maskwright_torch.prunable import PrunableBlocks

Pool = Literal["mean", "first"]
Item = Mapping[str, Any]


class TextTransformer(OverTokens, PrunableBlocks):
    """Tables of tokens, positions and segments, a norm, blocks, and a last norm where it comes before each part."""

    def __init__(
        self,
        codec: Any,
        prepare: TextPrepare,
        *,
        width: int,
        depth: int,
        heads: int,
        mlp_ratio: float = 4.0,
        pre_norm: bool = True,
        dropout: float = 0.0,
        eps: float = 1e-12,
        pool: Pool = "mean",
        relative: int = 0,
        reach: int = 128,
    ) -> None:
        super().__init__()
        self.codec, self.prepare, self.pool, self.depth, self.eps = codec, prepare, pool, depth, eps
        self.pre_norm = pre_norm
        self.width = self.pooled_width = width
        specials = codec.specials
        self.space = Space(
            (prepare.length,), vocabulary=codec.vocabulary, mask_id=specials.mask, specials=specials.all
        )
        self.tokens = nn.Embedding(codec.vocabulary, width)
        self.positions = nn.Embedding(prepare.length, width)
        self.segments = nn.Embedding(2, width)
        self.norm_in = nn.LayerNorm(width, eps=eps)
        self.drop = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(
            Block(width, heads, mlp_ratio=mlp_ratio, pre_norm=pre_norm, dropout=dropout, eps=eps)
            for _ in range(depth)
        )
        self.norm: nn.Module = nn.LayerNorm(width, eps=eps) if pre_norm else nn.Identity()
        self.relative = RelativeBias(heads, relative, reach) if relative else None
        self.whole = self.shape
        self.reset()

    def reset(self) -> None:
        """New weights, as at the start."""
        for part in self.modules():
            if isinstance(part, nn.Linear | nn.Embedding):
                nn.init.normal_(part.weight, std=initial_std(self.width))
            if isinstance(part, nn.Linear) and part.bias is not None:
                nn.init.zeros_(part.bias)
            if isinstance(part, nn.LayerNorm):
                nn.init.ones_(part.weight)
                nn.init.zeros_(part.bias)

    # -- the encoder contract ------------------------------------------------------------------------------

    def forward(self, batch: Batch, hidden: Tensor | None = None) -> Encoded:
        x = self._run(batch, hidden, None)
        real = batch["real"]
        if self.pool == "first":
            pooled = x[:, 0]
        else:
            counted = (real & ~batch["special"])[..., None].to(x.dtype)
            pooled = (x * counted).sum(dim=1) / counted.sum(dim=1).clamp(min=1)
        index = torch.arange(x.shape[1], device=x.device).expand(x.shape[:2])
        return Encoded(x, index, real, pooled, x[:, :0])

    # -- `vocabulary`: states to tokens ------------------------------------------------------------------------

    @property
    def table(self) -> Tensor:
        """(V, D): what tokens are embedded with, and what logits are a product with."""
        return self.tokens.weight

    def make_head(self) -> VocabularyHead:
        """A new head for this encoder's states; called as head(states, encoder.table)."""
        return VocabularyHead(self.width, self.width, self.space.vocabulary, eps=self.eps)

    def states_at(self, batch: Batch, hidden: Tensor | None, index: Tensor) -> Tensor:
        """(B, K, D): the states of some positions, int64 (B, K); the last block computes no others."""
        return self._run(batch, hidden, index)

    # -- `takes:attention`: any tokens at any positions, with a matrix of who may read whom -----------------------

    def attended(
        self,
        tokens: Tensor,
        position: Tensor,
        attend: Tensor,
        *,
        segment: Tensor | None = None,
        context: int = 0,
        index: Tensor | None = None,
    ) -> Tensor:
        """Tokens and positions int64 (B, M), `attend` bool (B, M, M): row reads column -> states (B, M, D).

        `context`: the first so many rows read none but the first so many columns, which saves work.
        `index` int64 (B, K): give the states of these rows alone.
        """
        last, limit = int(position.max()), self.positions.num_embeddings
        if last >= limit:
            raise UserError(
                f"position {last} for an encoder with {limit} positions",
                where="encoder, setting length",
                cure="a greater length (the table of a saved encoder is repeated to fit), or shorter texts",
            )
        x = self._embed(tokens, position, segment)
        mask, whole = attend[:, None], self.depth - (index is not None)
        if whole:
            inner = self._within(mask[..., :context, :context], position[:, :context], x.dtype)
            rest = self._bias(mask[..., context:, :], position[:, context:], position, x.dtype)
        for number, block in enumerate(self.blocks[:whole]):
            x = block(x, self._own(rest, number), context=context, inner=self._own(inner, number))
        if index is not None:
            some = self._bias(_rows(mask, index), position.gather(1, index), position, x.dtype)
            x = self.blocks[-1](x, self._own(some, whole), only=index)
        return self.norm(x)

    def extend(
        self,
        cache: Cache,
        tokens: Tensor,
        position: Tensor,
        attend: Tensor,
        seen: Tensor,
        segment: Tensor | None = None,
    ) -> Tensor:
        """States of new tokens (B, Q) that follow those in the cache, which takes them up.

        `seen` int64 (B, M): positions of everything that is then in the cache, new ones last; `attend` bool (B, Q, M).
        """
        x = self._embed(tokens, position, segment)
        bias = self._bias(attend[:, None], position, seen, x.dtype)
        for number, block in enumerate(self.blocks):
            x = block(x, self._own(bias, number), cache=cache, layer=number)
        return self.norm(x)

    # -- inside ------------------------------------------------------------------------------------------------

    def _run(self, batch: Batch, hidden: Tensor | None, index: Tensor | None) -> Tensor:
        tokens, real = batch["tokens"], batch["real"]
        if hidden is not None:
            tokens = torch.where(hidden, self.space.mask_id, tokens)
        length = self.positions.num_embeddings
        if tokens.shape[1] > length:
            raise UserError(
                f"a text of {tokens.shape[1]} tokens for an encoder of {length} positions",
                where="encoder, setting length",
                cure="a greater length, or shorter texts",
            )
        position = torch.arange(tokens.shape[1], device=tokens.device)[None]
        x = self._embed(tokens, position, batch.get("segment"))
        bias: Tensor | None = real[:, None, None, :]
        if self.relative is not None:
            bias = self._bias(real[:, None, None, :], position, position, x.dtype)
        elif bool(real.all()):
            bias = None  # the kernel without a mask is the fastest
        for number, block in enumerate(self.blocks):
            only = index if number == self.depth - 1 else None
            seen = bias if only is None else _rows(bias, only)
            x = block(x, self._own(seen, number), only=only)
        return self.norm(x)

    def _embed(self, tokens: Tensor, position: Tensor, segment: Tensor | None) -> Tensor:
        x = self.tokens(tokens) + self.positions(position)
        x = x + (self.segments.weight[0] if segment is None else self.segments(segment))
        return self.drop(self.norm_in(x))

    def _bias(self, attend: Tensor, queries: Tensor, keys: Tensor, dtype: torch.dtype) -> Tensor:
        """bool (B, 1, Q, M), with the relative bias added where there is one: float (B, H, Q, M)."""
        if self.relative is None:
            return attend
        # Finite, in bfloat16 too, so that a row that may read nothing stays finite.
        lowest = max(torch.finfo(dtype).min, torch.finfo(torch.bfloat16).min)
        return self.relative(queries, keys).to(dtype).masked_fill(~attend, lowest)

    def _within(self, attend: Tensor, position: Tensor, dtype: torch.dtype) -> Tensor | None:
        """What tokens read of each other that read no others, bool (B, 1, N, N) at positions (B, N).

        None where all is read and nothing added: the kernel without a mask is the fastest. One relative bias serves all
        rows that have the same positions, as texts have that begin at 0.
        """
        everything = bool(attend.all())
        if self.relative is None:
            return None if everything else attend
        if bool((position == position[:1]).all()):
            position = position[:1]
        return self._bias(attend[:1] if everything else attend, position, position, dtype)

    def _own(self, bias: Tensor | None, number: int) -> Tensor | None:
        """What a relative bias, made for all the heads there were, holds for those that a block still has."""
        if self.relative is None or self.kept is None or bias is None:
            return bias
        return bias[:, self.kept.heads(number)]

    # -- weights of another shape, layers, controls --------------------------------------------------------------

    def adapt(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weights of the same network for another length: the table of positions is cut, or repeated."""
        saved = state.get("positions.weight")
        length = self.positions.num_embeddings
        if saved is not None and len(saved) != length:
            times = -(-length // len(saved))
            state["positions.weight"] = saved.repeat(times, 1)[:length].clone()
        return state

    def read(self, argument: str) -> Iterator[Item]:
        """Items from a .txt file, a text a line, or as everywhere."""
        return read_texts(argument)

    def baseline(self, known: Sequence[Item], asked: Sequence[Item], step: Step) -> Baseline:
        """TF-IDF, which an encoder of texts has to beat."""
        from maskwright_text.tfidf_control import tfidf

        return tfidf(known, asked)

    def layer_of(self, name: str) -> int:
        """0 for what comes before the blocks, k + 1 for block k, depth + 1 for what follows: for layer-wise rates."""
        if name.startswith("blocks."):
            return int(name.split(".")[1]) + 1
        return self.depth + 1 if name.startswith("norm.") else 0


def _rows(bias: Tensor | None, index: Tensor) -> Tensor | None:
    """What some rows may read: (B, h, Q, M) -> (B, h, K, M); a matrix that is the same for all rows stays."""
    if bias is None or bias.shape[2] == 1:
        return bias
    heads, keys = bias.shape[1], bias.shape[3]
    chosen = index[:, None, :, None].expand(-1, heads, -1, keys)
    return bias.expand(len(index), -1, -1, -1).gather(2, chosen)
