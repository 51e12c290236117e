"""encoder:hf-text — a masked language model of transformers with the whole contract of an encoder over tokens.

`B` batch, `T` tokens, `M` tokens and what is appended to them, `D` width, `E` width of the table, `V` vocabulary.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_text.foreign_folders import Opened
from maskwright_text.foreign_heads import make_head
from maskwright_text.foreign_layers import groups_of, remove_others, set_heads
from maskwright_text.pruned_heads import kept_units
from maskwright_text.reading import read_texts
from maskwright_text.text_batches import TextPrepare
from maskwright_text.token_units import OverTokens
from maskwright_text.vocabulary import VocabularyHead
from maskwright_torch.contracts import Baseline, Batch, Encoded, Group, Space
from maskwright_torch.masking import take
from maskwright_torch.prunable import Prunable, require_plain_maps

Item = Mapping[str, Any]

LOWEST = torch.finfo(torch.bfloat16).min
"""Added to scores of what may not be read. Finite, also after a cast to bfloat16, so that no row is all -inf."""


class ForeignEncoder(OverTokens, Prunable):
    """A network of transformers. Hidden tokens enter as the tokenizer's mask token."""

    def __init__(self, opened: Opened, length: int, pool: Literal["mean", "first"] = "mean") -> None:
        super().__init__()
        self.config, self.codec, self.pool = opened.config, opened.codec, pool
        self.model = opened.model.base_model
        self.own_head = opened.head
        self.prepare = TextPrepare(self.codec, length)
        self.width = self.pooled_width = int(self.model.config.hidden_size)
        self.depth = int(self.model.config.num_hidden_layers)
        specials, rows = self.codec.specials, self.table.shape[0]
        # Rows that the tokenizer has no token for are never drawn and never predicted, as special tokens are not.
        beyond = range(self.codec.vocabulary, rows)
        self.space = Space(
            (length,), vocabulary=rows, mask_id=specials.mask, specials=(*specials.all, *beyond)
        )
        self.segmented = self.config.segments > 1
        # Layers of ModernBERT that see only their neighbours; the number is the largest distance.
        self.window = self.model.config.sliding_window if self.config.model_type == "modernbert" else None
        self.layers, own = self.config.architecture.layers, self.model.config
        self.whole = [[own.num_attention_heads, getattr(own, self.layers.neurons)]] * self.depth
        if gone := self.config.pruned_heads:  # the folder has no weights for them
            self.remove_others(kept_units(gone, self.whole))
        self.eval()
        self.leak = _leak(self)

    def reset(self) -> None:
        """New weights, as transformers starts them, and a new head."""
        fresh = type(self.model)(self.model.config)
        if self.kept is not None:
            remove_others(fresh, self.layers, self.kept.all())
        self.model.load_state_dict(fresh.state_dict(), strict=False)
        self.own_head = None

    # -- the encoder contract ------------------------------------------------------------------------------

    def forward(self, batch: Batch, hidden: Tensor | None = None) -> Encoded:
        tokens, real = batch["tokens"], batch["real"]
        if hidden is not None:
            tokens = torch.where(hidden, self.space.mask_id, tokens)
        index = torch.arange(tokens.shape[1], device=tokens.device).expand(tokens.shape)
        seen = None if bool(real.all()) else real.long()
        states = self._states(tokens, index, seen, batch.get("segment"))
        if self.pool == "first":
            pooled = states[:, 0]
        else:
            counted = (real & ~batch["special"])[..., None].to(states.dtype)
            pooled = (states * counted).sum(dim=1) / counted.sum(dim=1).clamp(min=1)
        return Encoded(states, index, real, pooled, states[:, :0])

    # -- `vocabulary`: states to tokens ------------------------------------------------------------------------

    @property
    def table(self) -> Tensor:
        """(V, E): what tokens are embedded with, and what logits are a product with."""
        return self.model.get_input_embeddings().weight

    def make_head(self) -> VocabularyHead:
        """A head for this encoder's states, with the folder's weights where it has some."""
        return make_head(self.config, self.width, self.table, self.own_head)

    def states_at(self, batch: Batch, hidden: Tensor | None, index: Tensor) -> Tensor:
        """(B, K, D): the states of some positions, int64 (B, K)."""
        return take(self(batch, hidden).states, index)

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

        `index` int64 (B, K): give the states of these rows alone. `context` would save work, which transformers cannot.
        """
        if self.leak:
            raise UserError(
                f"the model in {self.config.folder} cannot be told which token may read which",
                where="encoder:hf-text",
                why=f"{self.leak}; so the answers would leak into the questions",
                cure="encoder:text, or a folder of another model type, such as bert or roberta",
            )
        if int(position.max()) >= self.config.longest:
            raise UserError(
                f"position {int(position.max())} for a model with {self.config.longest} positions",
                where="encoder, setting length",
                cure="shorter texts, or a model for longer ones",
            )
        states = self._attended(tokens, position, attend, segment)
        return states if index is None else take(states, index)

    def _attended(
        self, tokens: Tensor, position: Tensor, attend: Tensor, segment: Tensor | None = None
    ) -> Tensor:
        # Numbers to add, not booleans: transformers' eager attention would add those as 0 and 1, and mask nothing.
        matrix = torch.zeros(attend.shape, dtype=self.table.dtype, device=attend.device)
        matrix = matrix.masked_fill(~attend, LOWEST)[:, None]
        seen: Any = matrix
        if self.window is not None:
            far = (position[:, None, :] - position[:, :, None]).abs() > self.window
            near = matrix.masked_fill(far[:, None], LOWEST)
            seen = {"full_attention": matrix, "sliding_attention": near}
        return self._states(tokens, position, seen, segment)

    def _states(self, tokens: Tensor, position: Tensor, seen: Any, segment: Tensor | None) -> Tensor:
        """(B, M, D). Positions are always given: RoBERTa would count them by what it takes for padding."""
        more = {"token_type_ids": segment} if self.segmented and segment is not None else {}
        place = position + self.config.first_position
        found = self.model(input_ids=tokens, attention_mask=seen, position_ids=place, **more)
        return found.last_hidden_state

    # -- `prunable` --------------------------------------------------------------------------------------------

    def prunable(self) -> list[Group]:
        groups = groups_of(self.model, self.layers, "model.")
        require_plain_maps(self, groups, str(self.config.folder))
        return groups

    def set_heads(self, layer: int, heads: int) -> None:
        set_heads(self.model, self.layers, layer, heads)

    # -- controls, layers --------------------------------------------------------------------------------------

    def read(self, argument: str) -> Iterator[Item]:
        """Items from a .txt file, a text a line, or as everywhere."""
        return read_texts(argument)

    def baseline(self, known: Sequence[Item], asked: Sequence[Item], step: Step) -> Baseline:
        """TF-IDF, which an encoder of texts has to beat."""
        from maskwright_text.tfidf_control import tfidf

        return tfidf(known, asked)

    def layer_of(self, name: str) -> int:
        """0 for what comes before the blocks, k + 1 for block k, depth + 1 for what follows: for layer-wise rates."""
        words = name.split(".")
        for before, number in pairwise(words):
            if before in ("layer", "layers") and number.isdigit():
                return int(number) + 1
        return self.depth + 1 if words[:2] in (["model", "final_norm"], ["model", "LayerNorm"]) else 0


def _leak(encoder: ForeignEncoder) -> str:
    """Why a model cannot be given a matrix of attention; empty where it obeys one. A pass over four tokens."""
    usual = [token for token in range(encoder.codec.vocabulary) if token not in encoder.codec.specials.all]
    first, *_, last = usual
    tokens = torch.tensor([[first, first, last, last], [first, first, first, first]])
    position = torch.arange(4).expand(2, -1)
    attend = torch.ones(4, 4, dtype=torch.bool).tril().expand(2, -1, -1)
    with torch.no_grad():
        try:
            states = encoder._attended(tokens, position, attend)
            turned = encoder._attended(tokens.flip(1), position.flip(1), attend.flip(1, 2)).flip(1)
        except Exception as error:  # a model that was never made for it can raise anything
            text = str(error).strip() or type(error).__name__
            return f"it raises {text.splitlines()[0][:200]}"
    if not torch.equal(states[0, :2], states[1, :2]):
        return "tokens that may not be read change the result: it ignores the matrix of attention"
    if not torch.allclose(states, turned, rtol=1e-3, atol=1e-4 * float(states.abs().max())):
        return "tokens in another order with the same positions change the result: it ignores position ids"
    return ""
