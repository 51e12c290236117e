"""The contracts whose signatures hold tensors: units, maskers, encoders, objectives, losses.

Letters: `B` batch, `N` units that can be hidden, `M` positions whose states come out, `D` width, `P` values of a unit.
Boolean masks: True = hidden for masks, True = real for `valid`. Indices are int64. A batch is a mapping whose tensors
have `B` as first axis; it always holds `rows` (B,), the identity of each row, which noise is drawn for. It may hold
batches, where an objective wraps others that prepare rows each in its own way.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import attrs
from torch import Tensor, nn

from maskwright.step import Step

Batch = Mapping[str, Any]

ROWS = "rows"
"""Key of the row identities in a batch."""

Prepare = Callable[[Sequence[Mapping[str, Any]], Step], dict[str, Tensor]]
"""(raw items, step) -> batch without `rows`. Small and picklable, without weights: it runs in loader processes."""


@attrs.frozen(eq=False)
class Units:
    """How an input falls into things that can be hidden."""

    valid: Tensor
    """bool (B, N). False: padding, special tokens; never hidden."""
    grid: tuple[int, ...]
    """The product is N: (T,) text, (H, W) patches, (K, T) audio codes, the shape of a weight for pruning."""
    position: Tensor
    """int64 (N,): encoder position of each unit."""
    rows: Tensor
    """int64 (B,): identity of each row, so that its noise does not depend on its neighbours."""
    features: Mapping[str, Tensor] = attrs.field(factory=dict)
    """(B, N) each: what a masker asked for, such as `score`."""


@attrs.frozen
class Space:
    """What an encoder's units are and what can be predicted about them."""

    grid: tuple[int, ...]
    values: int = 0
    """Numbers in a unit (a patch has patch * patch * channels); 0 where units are tokens."""
    vocabulary: int = 0
    """Number of tokens; 0 where units are numbers."""
    mask_id: int | None = None
    specials: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)  # not attrs: data parallelism looks for tensors inside dataclasses only
class Encoded:
    """What an encoder makes of a batch."""

    states: Tensor
    """(B, M, D): all positions (`hides:replace`), or the visible ones in rising order (`hides:drop`)."""
    index: Tensor
    """int64 (B, M): the position of each state."""
    valid: Tensor
    """bool (B, M)"""
    pooled: Tensor
    """(B, P): one vector for the whole."""
    prefix: Tensor
    """(B, E, D): states that belong to no unit, such as a class token; E may be 0."""


@dataclass(frozen=True, eq=False)
class Term:
    """One loss as a sum over its own count of items (hidden patches, rows, pairs), and its weight."""

    sum: Tensor
    count: Tensor
    weight: float = 1.0


@dataclass(frozen=True, eq=False)
class Loss:
    """Sums and counts instead of means, so that pieces of a batch add up to the batch."""

    terms: Mapping[str, Term]
    parts: Mapping[str, Tensor] = field(default_factory=dict)
    """Scalars to log beside the loss; means over the piece, weighted by its rows."""
    encoded: Encoded | None = None
    """The pass that was made, for a wrapper to use again."""
    totals: Mapping[str, Tensor] = field(default_factory=dict)
    """Scalars that are logged as sums over the whole run so far, such as the number of tokens predicted."""
    logits: Tensor | None = None
    """(B, classes): the class scores that were made, for a wrapper to use again."""

    @classmethod
    def of(
        cls,
        sum: Tensor,
        count: Tensor,
        parts: Mapping[str, Tensor] | None = None,
        encoded: Encoded | None = None,
        totals: Mapping[str, Tensor] | None = None,
        logits: Tensor | None = None,
    ) -> "Loss":
        """The usual loss of a single term."""
        return cls({"loss": Term(sum, count)}, parts or {}, encoded, totals or {}, logits)

    @property
    def value(self) -> Tensor:
        """The weighted sum of the terms' means; a term of no items is its sum, 0, which gradients can go through."""
        return sum(
            (term.weight * term.sum / (term.count + (term.count == 0)) for term in self.terms.values()),
            start=next(iter(self.terms.values())).sum.new_zeros(()),
        )


@attrs.frozen(eq=False)
class Baseline:
    """What a linear model sees of items without an encoder: the control that the encoder has to beat."""

    name: str
    """Begins the name of its metric: `raw_pixels` makes `raw_pixels_accuracy`."""
    words: str
    """What tables call it: "raw pixels"."""
    known: Any
    """(items, numbers): a row for each item to learn from, as a numpy array or a scipy.sparse matrix."""
    asked: Any
    """(items, numbers): likewise, for the items to judge."""


@attrs.frozen
class Group:
    """Units of one layer that can be removed one by one: the heads of an attention, the neurons of an MLP.

    Removing a unit is feeding zeros in its place to the linear map `output`, and then leaving out what is 0.
    """

    kind: Literal["heads", "neurons"]
    layer: int
    """Number of the block, from 0."""
    count: int
    """Units that are there now; may be 0."""
    size: int
    """Numbers of a unit: D/H of a head, 1 of a neuron. The input of `output` is `count` times `size` wide."""
    output: str
    """Path in the encoder of the linear map that reads the units; its bias stays whatever is removed."""
    inputs: tuple[str, ...]
    """Paths of the linear maps that make them; `fused` parts of each, one after the other, are `count` times `size`."""
    fused: int = 1
    """3 where queries, keys and values are one map."""


@runtime_checkable
class Masker(Protocol):
    """An nn.Module that chooses units to hide. It is handed the ratio and never knows the schedule."""

    def __call__(self, units: Units, ratio: Tensor, step: Step) -> Tensor:
        """`ratio` float64 (B,) -> bool (B, N).

        May have `features`: names it wants in `units.features`; `if_missing`: feature -> what to do where it lacks.
        """


@runtime_checkable
class Encoder(Protocol):
    """An nn.Module that turns raw items into tensors, tensors into units, and units into states.

    Optional, for probes and fine-tuning: `baseline(known, asked, step) -> Baseline` of two lists of raw items, those to
    learn from and those to judge; `reset()`, new weights; `depth` and `layer_of(name)`, the layer of a weight, 0 below
    the first block and depth + 1 above the last. With the tag `prunable`: `prunable()`, a list of `Group`, heads and
    neurons of each block in order; `compact(kept)`, a smaller encoder with the same results, where `kept` is for each
    group the rising int64 indices of the units that stay; `shape`, a list of [heads, neurons] of each block, which is
    also the setting of its Params that builds an encoder of that shape; `kept_units()`, for each group the numbers that
    its units had before any were removed, which are saved with the weights; `widened()`, the encoder as it was before,
    with zeros in place of what was removed and the same results. See `Prunable` in prunable.py.
    """

    width: int
    pooled_width: int
    space: Space
    prepare: Prepare

    def targets(self, batch: Batch) -> Tensor:
        """(B, N, P) numbers or (B, N) tokens: what hidden units really hold."""

    def units(self, batch: Batch) -> Units: ...

    def __call__(self, batch: Batch, hidden: Tensor | None = None) -> Encoded: ...


@runtime_checkable
class Objective(Protocol):
    """An nn.Module that owns its parts under the names of its slots and turns a batch into a loss.

    Optional: `after_step(step)` on any sub-module, called inner before outer once the optimiser has stepped and while
    the gradients are still there; `counts(batch, step)`, the count of each term, wanted to accumulate several terms;
    `groups(decay)`, groups of parameters for the optimiser; `parts()`, name -> (Params, module), or a `Reshaped`, of
    what from-run may take beside the slots; `before_step(visit, step)`, called before every batch, with a `Visit` to
    the data; `order(step, data, split, batch)`, which items make up each batch (see `Order` in batches.py);
    `notices`, sentences that the log says before training.
    With the tag `classifies`: `classes`, their number, and `logits(batch)`, (B, classes).
    With the tag `generates`: `generate(items, step)`, a list of `Generated` for each item, the best first, and
    `target_losses(items, step)`, for each item (T,) minus the log-probability of each token of its target.
    """

    prepare: Prepare

    def __call__(self, batch: Batch, step: Step) -> Loss: ...


@attrs.frozen(eq=False)
class Reshaped:
    """A part of the recipe in another shape than planned, as it came out of training."""

    path: str
    """Where the objective holds the planned part, such as "inner.encoder"."""
    settings: Mapping[str, Any]
    """Settings that differ from the planned ones; tables reach into parts, {"encoder": {"shape": …}}."""
    module: nn.Module


@dataclass(frozen=True, eq=False)
class Filled:
    """What the capability `fills` gives for hidden units: `fill(batch, hidden, step)`."""

    values: Tensor
    """(B, N, P) or (B, N), like the encoder's targets: own values where visible, predictions where hidden."""
    score: Tensor | None = None
    """(B, N): how sure each prediction is, where the objective can tell; needed to fill in several passes."""


@attrs.frozen
class Generated:
    """What the capability `generates` gives for an item: one text."""

    text: str
    complete: bool
    """It has an end, and was not cut at the greatest length."""
    score: float
    """How sure the model is of it; comparable between the texts of one item."""
    cut: int = 0
    """Tokens of the source that did not fit."""
