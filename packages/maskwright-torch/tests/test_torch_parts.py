"""State of parts: shared tensors once, frozen parts left out, clear errors, no code in files."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from maskwright import UserError
from maskwright_torch.part import (
    Part,
    digest,
    freeze,
    frozen_digests,
    frozen_prefixes,
    inside,
    load_state,
    read_state,
    seeded,
    set_training,
    state_of,
    write_state,
)


class Tied(Part):
    """One tensor under two names, one module under two names, and a view of a larger storage."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(6, 4)
        self.head = nn.Linear(4, 6, bias=False)
        self.head.weight = self.table.weight
        self.body = nn.Linear(4, 4)
        self.again = self.body
        self.register_buffer("part_of_it", torch.arange(12.0).view(3, 4)[:, 1:3])


def test_shared_tensors_are_written_once_and_read_back_shared(tmp_path: Path):
    part = seeded(1, Tied)
    part.save(tmp_path)
    assert set(load_file(tmp_path / "model.safetensors")) == {
        "table.weight",
        "body.weight",
        "body.bias",
        "part_of_it",
    }
    aliases = json.loads((tmp_path / "aliases.json").read_text())
    assert aliases == {
        "head.weight": "table.weight",
        "again.weight": "body.weight",
        "again.bias": "body.bias",
    }
    other = seeded(2, Tied)
    assert digest(other) != digest(part)
    other.load(tmp_path)
    assert digest(other) == digest(part)
    assert other.head.weight is other.table.weight


def test_a_part_inside_can_be_read_alone(tmp_path: Path):
    part = seeded(1, Tied)
    part.save(tmp_path)
    body = nn.Linear(4, 4)
    load_state(body, inside(read_state(tmp_path), "body"), str(tmp_path))
    assert torch.equal(body.weight, part.body.weight)


def test_frozen_parts_stay_out_and_are_recognised():
    part = seeded(1, Tied)
    freeze(part.body)
    assert frozen_prefixes(part) == ["body", "again"]
    tensors, _ = state_of(part)
    assert "body.weight" not in tensors and "again.weight" not in tensors
    assert "body.weight" in state_of(part, keep_frozen=True)[0]
    before = frozen_digests(part)
    with torch.no_grad():
        part.body.weight += 1
    assert frozen_digests(part) != before
    set_training(part)
    assert part.training and part.table.training and not part.body.training
    assert not part.body.weight.requires_grad and part.table.weight.requires_grad


def test_seeded_modules_do_not_depend_on_what_was_drawn_before():
    one = seeded(7, lambda: nn.Linear(3, 3))
    nn.init.normal_(torch.empty(5))
    state = torch.get_rng_state()
    two = seeded(7, lambda: nn.Linear(3, 3))
    assert torch.equal(one.weight, two.weight)
    assert torch.equal(torch.get_rng_state(), state), "building a part must not move the default generator on"
    assert not torch.equal(seeded(8, lambda: nn.Linear(3, 3)).weight, one.weight)


def test_weights_that_do_not_fit_are_told_with_both_shapes():
    state = dict(nn.Linear(3, 5).state_dict()) | {"more": torch.zeros(1)}
    del state["bias"]
    with pytest.raises(UserError, match="do not fit") as caught:
        load_state(nn.Linear(4, 5), state, "somewhere")
    assert "weight: (5, 3) where (5, 4) is wanted" in caught.value.why
    assert "bias: missing" in caught.value.why
    assert "more: not known here" in caught.value.why
    assert caught.value.where == "somewhere"


@pytest.mark.parametrize(("content", "text"), [(None, "is missing"), (b"torn", "no sound safetensors file")])
def test_damaged_files_are_told(tmp_path: Path, content: bytes | None, text: str):
    if content is not None:
        (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(UserError, match=text) as caught:
        read_state(tmp_path)
    assert "model.safetensors" in caught.value.where


def test_adapt_is_asked_before_shapes_are_compared(tmp_path: Path):
    class Grown(nn.Linear):
        def adapt(self, state):
            return {**state, "weight": state["weight"].repeat(2, 1), "bias": state["bias"].repeat(2)}

    small, large = nn.Linear(2, 3), Grown(2, 6)
    load_state(large, small.state_dict(), "")
    assert torch.equal(large.weight[3:], small.weight)


def test_state_is_the_same_bytes_each_time(tmp_path: Path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_state(tmp_path / name, *state_of(seeded(1, Tied)))
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two")]
    assert files[0] == files[1]
