"""Other tensors in a module: tied and shared ones everywhere, and nothing left behind."""

import pytest
import torch
from torch import Tensor, nn

from maskwright_torch.functional import call, named
from maskwright_torch.noise import uniform
from maskwright_torch.part import seeded


class Tied(nn.Module):
    """A table, and a head that is the same tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(5, 3)
        self.head = nn.Linear(3, 5, bias=False)
        self.head.weight = self.table.weight

    def forward(self, index: Tensor) -> Tensor:
        return self.head(self.table(index))


class Shared(nn.Module):
    """One encoder held by two tasks, as tasks in a recipe share it by reference."""

    def __init__(self) -> None:
        super().__init__()
        encoder = nn.Linear(3, 4)
        self.first = nn.ModuleDict({"encoder": encoder, "head": nn.Linear(4, 2)})
        self.second = nn.ModuleDict({"encoder": encoder, "head": nn.Linear(4, 2)})
        self.register_buffer("scale", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * sum(task["head"](task["encoder"](x).tanh()) for task in (self.first, self.second))


def tensors_of(module: nn.Module) -> dict[str, Tensor]:
    return dict(module.state_dict(keep_vars=True))


X = uniform(1, torch.arange(6), 3).float()


def test_every_parameter_has_one_name():
    assert list(named(seeded(0, Tied))) == ["table.weight"]
    assert list(named(seeded(0, Shared))) == [
        "first.encoder.weight", "first.encoder.bias", "first.head.weight", "first.head.bias",
        "second.head.weight", "second.head.bias",
    ]  # fmt: skip


def test_a_tied_tensor_is_replaced_in_all_places():
    module = seeded(0, Tied)
    other = seeded(1, Tied)
    index = torch.arange(5)
    assert torch.equal(call(module, named(other), index), other(index))


def test_a_shared_module_keeps_its_own_tensors():
    module, other = seeded(0, Shared), seeded(1, Shared)
    before = tensors_of(module)
    assert torch.equal(call(module, named(other), X), other(X))
    after = tensors_of(module)
    assert all(after[name] is tensor for name, tensor in before.items())


def test_bare_functional_call_would_leave_them_there():
    # The trap that `call` is for; when torch mends it, this test says so.
    module, other = seeded(0, Shared), seeded(1, Shared)
    before = tensors_of(module)
    fast = dict(other.named_parameters(remove_duplicate=False))
    torch.func.functional_call(module, fast, (X,))  # noqa: TID251
    assert any(tensor is not before[name] for name, tensor in tensors_of(module).items())


def test_gradients_reach_the_given_tensors_only():
    module = seeded(0, Shared)
    given = {name: p.detach().clone().requires_grad_() for name, p in named(module).items()}
    call(module, given, X).sum().backward()
    assert all(tensor.grad is not None for tensor in given.values())
    assert all(p.grad is None for p in module.parameters())


def test_what_is_not_named_stays():
    module, other = seeded(0, Shared), seeded(1, Shared)
    head = {"second.head.bias": named(other)["second.head.bias"]}
    moved = call(module, head, X) - module(X)
    wanted = (other.second["head"].bias - module.second["head"].bias).expand_as(moved)
    assert torch.allclose(moved, wanted, atol=1e-6)


def test_buffers_can_be_replaced():
    module = seeded(0, Shared)
    assert torch.equal(call(module, {"scale": torch.tensor(2.0)}, X), 2 * module(X))
    assert float(module.scale) == 1.0


def test_an_unknown_name_is_refused():
    with pytest.raises(KeyError, match=r"no parameter or buffer of the name first.head.weigt — did you mean"):
        call(seeded(0, Shared), {"first.head.weigt": torch.zeros(2, 4)}, X)
