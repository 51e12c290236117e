"""Contracts of encoders: `maskwright_torch.contracts.Encoder`."""

import inspect

import torch
from torch import Tensor, nn

from maskwright_testing.cases import Case, Skipped, fail
from maskwright_testing.differences import difference
from maskwright_testing.tensor_cases import (
    MIDDLE,
    buffers_of,
    encoded_values,
    forget_draws,
    half_hidden,
    known_items,
    module_and_batch,
    other_content,
    require_items,
    require_prepare,
    require_second_derivatives,
    rows_of,
)
from maskwright_torch.batches import collate
from maskwright_torch.contracts import ROWS, Baseline, Encoded, Space
from maskwright_torch.inference import in_use
from maskwright_torch.part import load_state, read_state, state_of, write_state

HIDES = ("hides:drop", "hides:replace")

TAKEN = {"encoder", "random", "majority", "scratch"}
"""Names that probes and fine-tuning give to what they put beside an encoder."""


def _hides(case: Case) -> str:
    """Which of the two ways to hide it declares; Skipped where it has none."""
    declared = [tag for tag in HIDES if tag in case.tags()]
    if not declared:
        raise Skipped("it hides nothing: it has neither the tag hides:drop nor hides:replace")
    if len(declared) == 2:
        fail("it has both tags hides:drop and hides:replace")
    return declared[0]


def check_encoder_example_data(case: Case) -> None:
    """There is data with at least two items that have the fields it reads."""
    require_items(case)


def check_encoder_prepare(case: Case) -> None:
    """`prepare` pickles to less than 10 kB, so without weights; the same items and step give the same batch."""
    require_prepare(case)


def check_encoder_units(case: Case) -> None:
    """Its units are a grid with a position each; which of them are real is said for every row."""
    encoder, batch = module_and_batch(case)
    units = encoder.units(batch)
    rows, count = len(batch[ROWS]), torch.Size(units.grid).numel()
    wanted: dict[str, tuple[torch.dtype, tuple[int, ...]]] = {
        "valid": (torch.bool, (rows, count)),
        "position": (torch.int64, (count,)),
        "rows": (torch.int64, (rows,)),
    }
    for name, (kind, shape) in wanted.items():
        found: Tensor = getattr(units, name)
        if (found.dtype, tuple(found.shape)) != (kind, shape):
            fail(
                f"units.{name} is {found.dtype} {tuple(found.shape)}; "
                f"with {rows} rows on the grid {tuple(units.grid)} it must be {kind} {shape}"
            )
    if not torch.equal(units.rows, batch[ROWS]):
        fail(f'units.rows must be the identities in the batch, batch["{ROWS}"]')
    if not bool(units.valid.any(dim=1).all()):
        fail("an item of the example data has no valid unit")
    if bool((units.position < 0).any()):
        fail("a unit has a negative position")
    if "patches" in case.tags() and (len(units.grid) != 2 or not encoder.space.values):
        fail(
            f"with the tag patches it needs a grid (H, W) and space.values, found {units.grid}, {encoder.space}"
        )


def check_encoder_targets(case: Case) -> None:
    """Targets are as its `space` says: finite numbers (rows, units, values), or tokens (rows, units)."""
    encoder, batch = module_and_batch(case)
    space, targets = encoder.space, encoder.targets(batch)
    if not isinstance(space, Space) or bool(space.values) == bool(space.vocabulary):
        fail(f"space must be a Space with either values or a vocabulary, found {space!r}")
    valid = encoder.units(batch).valid
    shape = (*valid.shape, space.values) if space.values else tuple(valid.shape)
    if tuple(targets.shape) != shape or targets.is_floating_point() != bool(space.values):
        kind = "numbers" if space.values else "tokens"
        fail(f"the targets are {targets.dtype} {tuple(targets.shape)}, not {kind} of shape {shape}")
    if space.values and not bool(targets.isfinite().all()):
        fail("the targets hold values that are not finite")
    if space.vocabulary and not bool(((targets >= 0) & (targets < space.vocabulary)).all()):
        fail(f"targets lie outside the vocabulary of {space.vocabulary} tokens")


def check_encoder_states(case: Case) -> None:
    """It gives finite states of its `width` at positions of their own, and with `pooled` one vector for each row."""
    encoder, batch = module_and_batch(case)
    with in_use(encoder):
        encoded, units = encoder(batch), encoder.units(batch)
    if not isinstance(encoded, Encoded):
        fail(f"it gives a {type(encoded).__name__}, not an Encoded")
    rows, states = len(batch[ROWS]), encoded.states.shape[1]
    wanted: dict[str, tuple[int, ...]] = {
        "states": (rows, states, encoder.width),
        "index": (rows, states),
        "valid": (rows, states),
        "prefix": (rows, encoded.prefix.shape[1], encoder.width),
    }
    if "pooled" in case.tags():
        wanted["pooled"] = (rows, encoder.pooled_width)
    for name, shape in wanted.items():
        found = tuple(getattr(encoded, name).shape)
        if found != shape:
            fail(f"{name} has the shape {found}, {shape} is wanted")
    if encoded.index.dtype != torch.int64 or encoded.valid.dtype != torch.bool:
        fail(f"index must be int64 and valid bool, found {encoded.index.dtype} and {encoded.valid.dtype}")
    real = {"states": encoded.states[encoded.valid], "pooled": encoded.pooled, "prefix": encoded.prefix}
    for name, values in real.items():
        if not bool(values.isfinite().all()):
            fail(f"{name} holds values that are not finite")
    for row, (index, valid) in enumerate(zip(encoded.index, units.valid, strict=True)):
        if len(index.unique()) != len(index) or bool((index < 0).any()):
            fail(f"the positions of row {row} are {index.tolist()}: negative, or one comes twice")
        if lacking := set(units.position[valid].tolist()) - set(index.tolist()):
            fail(f"row {row} has no state for the positions {sorted(lacking)} of its units")


def check_encoder_hides(case: Case) -> None:
    """With `hides:drop` it gives states of the visible units in rising order, with `hides:replace` of all positions."""
    declared = _hides(case)
    encoder, batch = module_and_batch(case)
    units = encoder.units(batch)
    hidden = half_hidden(units)
    with in_use(encoder):
        whole, seen = encoder(batch), encoder(batch, hidden)
    visible = [units.position[~row].unique() for row in hidden]
    drops = all(torch.equal(own, wanted) for own, wanted in zip(seen.index, visible, strict=True))
    replaces = torch.equal(seen.index, whole.index)
    if not (drops if declared == "hides:drop" else replaces):
        what = "drops hidden units" if drops else "keeps all positions" if replaces else "does neither"
        fail(f"it has the tag {declared}, but {what}: row 0 has the positions {seen.index[0].tolist()}")
    shapes = (tuple(seen.states.shape), tuple(seen.valid.shape))
    if shapes != ((*seen.index.shape, encoder.width), tuple(seen.index.shape)):
        fail(f"for positions {tuple(seen.index.shape)} it gives states and valid of the shapes {shapes}")


def check_encoder_hidden_content(case: Case) -> None:
    """What hidden units hold changes nothing in the result, to the last bit."""
    _hides(case)
    encoder, batch = module_and_batch(case)
    hidden = half_hidden(encoder.units(batch))
    with in_use(encoder):
        changed = other_content(encoder, batch, hidden)
        one, two = encoder(batch, hidden), encoder(changed, hidden)
        if not difference(encoded_values(encoder(batch)), encoded_values(encoder(changed))):
            fail("with nothing hidden, it does not look at the content of its units")
    if found := difference(encoded_values(one), encoded_values(two)):
        fail(f"with other content in hidden units, {found}")


def check_encoder_rows_apart(case: Case) -> None:
    """An item alone has the states that it has in a batch; what it is padded with there changes nothing."""
    encoder, data = case.working()
    items = known_items(case, data)
    batch = collate(items, range(len(items)), encoder.prepare, MIDDLE)
    with in_use(encoder):
        whole = encoded_values(encoder(batch))
        for row, item in enumerate(items):
            alone = encoded_values(encoder(collate([item], [row], encoder.prepare, MIDDLE)))
            own, both = alone["valid"][0], whole["valid"][row]
            for name in ("index", "states"):
                if found := difference(whole[name][row][both], alone[name][0][own], exact=False, where=name):
                    fail(f"item {row} in a batch and alone: {found}")
            for name in ("pooled", "prefix"):
                if found := difference(whole[name][row], alone[name][0], exact=False, where=name):
                    fail(f"item {row} in a batch and alone: {found}")


def check_encoder_evaluation_leaves_no_trace(case: Case) -> None:
    """In evaluation mode the same batch gives the same result again, and nothing that it remembers changes."""
    encoder, batch = module_and_batch(case)
    before = buffers_of(encoder)
    with in_use(encoder):
        forget_draws(1)
        first = encoded_values(encoder(batch))
        forget_draws(2)
        if found := difference(first, encoded_values(encoder(batch))):
            fail(f"asked again in evaluation mode: {found}")
    if found := difference(before, buffers_of(encoder)):
        fail(f"a pass in evaluation mode changed a buffer: {found}")


def _weights(case: Case, seed: int, drawn: int) -> dict[str, Tensor]:
    """Weights of a new instance, built after the default generator was put somewhere."""
    forget_draws(drawn)
    before = torch.get_rng_state()
    encoder: nn.Module = case.working(seed)[0]
    if not torch.equal(before, torch.get_rng_state()):
        fail("building it moves the default generator on; use maskwright_torch.part.seeded")
    return {name: parameter.detach() for name, parameter in encoder.named_parameters()}


def check_encoder_seed(case: Case) -> None:
    """The same seed gives the same weights, whatever was drawn before; where `build` asks for one, another others."""
    one, two, three = _weights(case, 0, drawn=1), _weights(case, 0, drawn=2), _weights(case, 1, drawn=1)
    if not one:
        raise Skipped("it has no weights")
    if found := difference(one, two):
        fail(f"built twice with one seed: {found}")
    asks = "seed" in inspect.signature(case.params_class._build_part).parameters
    if asks and not difference(one, three):
        fail("built with two seeds, it has the same weights")


def check_encoder_load_gives_the_same(case: Case) -> None:
    """Saved and loaded into an instance of another seed, it gives the same result to the last bit."""
    encoder, batch = module_and_batch(case)
    other = case.working(1)[0]
    write_state(case.folder, *state_of(encoder, keep_frozen=True))
    load_state(other, read_state(case.folder), str(case.folder))
    with in_use(encoder), in_use(other):
        if found := difference(encoded_values(encoder(batch)), encoded_values(other(batch))):
            fail(f"after loading, {found}")


def check_encoder_double_backward(case: Case) -> None:
    """Second derivatives can be taken of its states, unless it has the tag `no-double-backward`."""
    if "no-double-backward" in case.tags():
        raise Skipped("it has the tag no-double-backward")
    encoder, batch = module_and_batch(case)
    encoder.eval()
    require_second_derivatives(encoder, lambda: encoder(rows_of(batch, slice(2))).states.square().mean())


def check_encoder_baseline(case: Case) -> None:
    """What `baseline` gives, where it has one: finite numbers under a name of its own, a row for each item."""
    encoder, data = case.working()
    if not hasattr(encoder, "baseline"):
        raise Skipped("it has no baseline()")
    items = known_items(case, data)
    found = encoder.baseline(items, items[:1], MIDDLE)
    if not isinstance(found, Baseline):
        fail(f"baseline() gives a {type(found).__name__}, not a Baseline")
    if not found.name.isidentifier() or found.name in TAKEN or not found.words.strip():
        fail(
            f"it needs a name that makes a metric of its own, and words; found {found.name!r}, {found.words!r}"
        )
    shapes = [tuple(side.shape) for side in (found.known, found.asked)]
    if [shape[:1] for shape in shapes] != [(len(items),), (1,)] or len({shape[1:] for shape in shapes}) != 1:
        fail(f"of {len(items)} items and 1 it gives rows of the shapes {shapes[0]} and {shapes[1]}")
    for side in (found.known, found.asked):
        stored = side.data if hasattr(side, "toarray") else side
        if not bool(torch.as_tensor(stored).isfinite().all()):
            fail("its numbers are not all finite")
