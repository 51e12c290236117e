"""Objectives on words, good ones and ones with a single fault."""

from collections.abc import Mapping
from typing import Any

import torch
from tensor_toys import Guess, Lengths
from torch import Tensor, nn

from maskwright import Step
from maskwright_torch.contracts import Batch, Filled, Loss, Term


class FirstOnly(Lengths):
    def __call__(self, items: Any, step: Step) -> dict[str, Tensor]:
        return {name: tensor[:1] for name, tensor in super().__call__(items, step).items()}


def cut_batches() -> Guess:
    objective = Guess()
    objective.prepare = FirstOnly()
    return objective


class OneNumber(Guess):
    def forward(self, batch: Batch, step: Step) -> Any:
        return super().forward(batch, step).value


class Bare(Guess):
    def forward(self, batch: Batch, step: Step) -> Loss:
        loss = super().forward(batch, step)
        return Loss({"loss": loss.value})  # type: ignore[dict-item]


class RowByRow(Guess):
    def forward(self, batch: Batch, step: Step) -> Loss:
        loss = super().forward(batch, step)
        return Loss.of(loss.terms["loss"].sum.expand(len(batch["rows"])), loss.terms["loss"].count)


class Infinite(Guess):
    def forward(self, batch: Batch, step: Step) -> Loss:
        loss = super().forward(batch, step)
        return Loss.of(loss.terms["loss"].sum / 0, loss.terms["loss"].count)


class CountsNothing(Guess):
    def forward(self, batch: Batch, step: Step) -> Loss:
        loss = super().forward(batch, step)
        return Loss.of(loss.terms["loss"].sum, loss.terms["loss"].count * 0)


class Idle(Guess):
    def __init__(self) -> None:
        super().__init__()
        self.idle = nn.Linear(2, 2)


class Frozen(Guess):
    def __init__(self) -> None:
        super().__init__()
        self.requires_grad_(False)


class Constant(Guess):
    def predicted(self, batch: Batch, hidden: Tensor) -> Tensor:
        return super().predicted(batch, hidden).detach()


class Steep(Guess):
    """The root of an error that is 0: finite, but not its slope."""

    def forward(self, batch: Batch, step: Step) -> Loss:
        loss = super().forward(batch, step)
        error = loss.terms["loss"].sum
        return Loss.of((error - error.detach()).sqrt() + error, loss.terms["loss"].count)


class Means(Guess):
    """Says that it has one item, whatever the batch."""

    def forward(self, batch: Batch, step: Step) -> Loss:
        loss = super().forward(batch, step)
        return Loss.of(loss.value, loss.terms["loss"].count * 0 + 1)


class PartSums(Guess):
    def forward(self, batch: Batch, step: Step) -> Loss:
        loss = super().forward(batch, step)
        return Loss(loss.terms, {"sum": loss.parts["rows"] * len(batch["rows"])})


class Straight(torch.autograd.Function):
    """Passes values on, and gradients as many times as there are rows."""

    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:
        return values.clone()

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        return gradient * len(gradient)


class WrongGradient(Guess):
    def predicted(self, batch: Batch, hidden: Tensor) -> Tensor:
        return Straight.apply(super().predicted(batch, hidden))


class Normalised(Guess):
    """In training a row sees the mean of its batch."""

    def predicted(self, batch: Batch, hidden: Tensor) -> Tensor:
        found = super().predicted(batch, hidden)
        return found - found.mean(dim=0) if self.training else found


class TwoTerms(Guess):
    """All words count a little, too; the number of items is told."""

    def forward(self, batch: Batch, step: Step) -> Loss:
        first = super().forward(batch, step).terms["loss"]
        errors = (self.predicted(batch, torch.zeros_like(batch["valid"])) - batch["values"]).square()
        second = Term(errors.mean(dim=(1, 2)).sum(), errors.new_tensor(float(len(errors))), weight=0.3)
        return Loss({"hidden": first, "all": second})

    def counts(self, batch: Batch, step: Step) -> Mapping[str, Tensor]:
        rows = torch.tensor(float(len(batch["rows"])))
        return {"hidden": self.hidden(batch, step).sum(), "all": rows}


class Miscounts(TwoTerms):
    def counts(self, batch: Batch, step: Step) -> Mapping[str, Tensor]:
        return {**super().counts(batch, step), "all": torch.tensor(1.0)}


class FirstRowCounts(Guess):
    def predicted(self, batch: Batch, hidden: Tensor) -> Tensor:
        return super().predicted(batch, hidden) + super().predicted(batch, hidden)[:1]


class Spread(Guess):
    """Divides by the spread of the rows, which one row has not."""

    def predicted(self, batch: Batch, hidden: Tensor) -> Tensor:
        found = super().predicted(batch, hidden)
        return found / (found - found.mean(dim=0)).square().mean(dim=0).sqrt()


class Draws(Guess):
    def predicted(self, batch: Batch, hidden: Tensor) -> Tensor:
        noise = torch.empty(2).uniform_(generator=self.own)
        return super().predicted(batch, hidden) + noise

    def __init__(self) -> None:
        super().__init__()
        self.own = torch.Generator()


class OfItsInstance(Guess):
    made = 0

    def __init__(self) -> None:
        super().__init__()
        OfItsInstance.made += 1
        self.number = OfItsInstance.made

    def predicted(self, batch: Batch, hidden: Tensor) -> Tensor:
        return super().predicted(batch, hidden) * self.number


class DropsAlways(Guess):
    def predicted(self, batch: Batch, hidden: Tensor) -> Tensor:
        return nn.functional.dropout(super().predicted(batch, hidden), 0.5, training=True)


class Momentum(Guess):
    """Follows its head slowly, and pulls it back; a momentum teacher that is in the state."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("slow", torch.zeros(2))

    def predicted(self, batch: Batch, hidden: Tensor) -> Tensor:
        return super().predicted(batch, hidden) + self.slow

    def after_step(self, step: Step) -> None:
        self.slow.lerp_(self.head.bias.detach(), 0.5)


class MomentumBeside(Momentum):
    """The speed at which it follows grows, and is not in the state."""

    speed = 0.1

    def after_step(self, step: Step) -> None:
        self.speed *= 2
        self.slow.lerp_(self.head.bias.detach(), self.speed)


class OnlyOnce(Momentum):
    """Like this the state differs in the end, but no loss does yet."""

    speed = 0.1

    def predicted(self, batch: Batch, hidden: Tensor) -> Tensor:
        return Guess.predicted(self, batch, hidden)

    def after_step(self, step: Step) -> None:
        self.speed *= 2
        self.slow.lerp_(self.head.bias.detach(), self.speed)


class CountsPasses(Guess):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("passes", torch.zeros(()))

    def forward(self, batch: Batch, step: Step) -> Loss:
        self.passes.add_(1)
        return super().forward(batch, step)


class Once(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:
        return values.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context: Any, gradient: Tensor) -> Tensor:
        return gradient


class OneDerivative(Guess):
    def predicted(self, batch: Batch, hidden: Tensor) -> Tensor:
        return Once.apply(super().predicted(batch, hidden))


class FillsAsTuple(Guess):
    def fill(self, batch: Batch, hidden: Tensor, step: Step) -> Any:
        return (super().fill(batch, hidden, step).values,)


class FillsFlat(Guess):
    def fill(self, batch: Batch, hidden: Tensor, step: Step) -> Filled:
        return Filled(super().fill(batch, hidden, step).values.flatten(1))


class FillsAll(Guess):
    def fill(self, batch: Batch, hidden: Tensor, step: Step) -> Filled:
        return Filled(self.predicted(batch, hidden))


class FillsInfinity(Guess):
    def fill(self, batch: Batch, hidden: Tensor, step: Step) -> Filled:
        return Filled(torch.where(hidden[..., None], torch.inf, batch["values"]))


class ScoresRows(Guess):
    def fill(self, batch: Batch, hidden: Tensor, step: Step) -> Filled:
        return Filled(super().fill(batch, hidden, step).values, torch.zeros(len(hidden)))


class FillsByChance(Guess):
    def fill(self, batch: Batch, hidden: Tensor, step: Step) -> Filled:
        found = super().fill(batch, hidden, step).values
        return Filled(torch.where(hidden[..., None], found + torch.empty(1).uniform_(), found))


class FillsSomething(Guess):
    def fill(self, batch: Batch, hidden: Tensor, step: Step) -> Filled:
        found = super().fill(batch, hidden, step)
        return found if hidden.any() else Filled(found.values + 1)


class FieldsOfItsOwn(Guess):
    def fields(self, *arguments: Any) -> dict[str, Any]:
        return {"guess": super().fields(*arguments)["filled"]}
