"""One update through inner steps, written in several ways on the same network, weights and batches.

`benchmarks/meta.py` asks for it with `answer`, in its own process or in the peers' interpreter: all ways take turns
in one process.

    ours              objective:meta around objective:classify, as recipe:train calls it
    meta_gradient     our function of named tensors alone
    by hand           torch.autograd.grad in a loop
    TorchOpt          torchopt.sgd and apply_updates in such a loop
    TorchOpt MetaSGD  the same by torchopt's optimiser of modules, which knows second order only
    by hand, bare     a loop around encoder, head and cross entropy: without the checks and counts of objective:classify
"""

import contextlib
import platform
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any

import attrs
import torch
from timing import alternate, ratios
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from words import Words

from maskwright import Step
from maskwright.schedules import constant
from maskwright_meta.layout import Layout
from maskwright_meta.meta import Episodes, Meta
from maskwright_meta.params_encoders import BagOfWords
from maskwright_meta.simulation import Adaptation
from maskwright_meta.unroll import Inner, Order, meta_gradient
from maskwright_text.params_models import Subwords, TextEncoder
from maskwright_torch.contracts import ROWS
from maskwright_torch.functional import call, named
from maskwright_torch.noise import uniform
from maskwright_torch.params_classify import Classify
from maskwright_torch.part import set_training

STEP = Step(seed=4, number=0, total=1)
RATE = 0.1
EPISODES, CLASSES, WORDS = 4, 4, 120

Batch = dict[str, Tensor]


def classifier(net: str) -> Any:
    """ "mlp": the network of recipe:meta-experiment. "text": two transformer blocks."""
    encoder: Any = BagOfWords(buckets=256, width=64, embedding=48, depth=2)
    if net == "text":
        codec = Subwords(model="words", vocabulary=WORDS + 5)
        encoder = TextEncoder(codec=codec, length=32, width=64, depth=2, heads=4)
    made = Classify(encoder=encoder, classes=CLASSES, norm=False, head_std=0.1).build(1)
    if net == "text":
        made.encoder.codec.fit(Words(WORDS), Step())
    set_training(made)
    return made


def chunks(objective: Any, count: int, rows: int, words: int) -> list[Batch]:
    """`count` batches of `rows` texts of `words` words; a text has the label of its first word."""
    drawn = (WORDS * uniform(7, torch.arange(count * rows), words)).long().tolist()
    items = [
        {"id": str(n), "text": " ".join(f"w{word}" for word in text), "label": text[0] % CLASSES}
        for n, text in enumerate(drawn)
    ]
    pieces = [items[start : start + rows] for start in range(0, len(items), rows)]
    return [
        {**objective.prepare(piece, STEP), ROWS: torch.arange(rows) + rows * n}
        for n, piece in enumerate(pieces)
    ]


class Net(nn.Module):
    """Batch -> loss. The objective's own, or bare: no more than what a loop written for one network would have."""

    def __init__(self, objective: Any, bare: bool = False) -> None:
        super().__init__()
        self.objective, self.bare = objective, bare

    def forward(self, batch: Batch) -> Tensor:
        if not self.bare:
            return self.objective(batch, STEP).value
        scores = self.objective.head(self.objective.encoder(batch).pooled)
        return nn.functional.cross_entropy(scores, batch["label"])


@attrs.frozen
class Case:
    """A network, the batches of `EPISODES` episodes, and what is done with them."""

    objective: Any
    net: Net
    episodes: list[list[Batch]]
    depth: int
    order: Order

    @classmethod
    def of(
        cls, net: str, depth: int, order: Order, rows: int, words: int, dtype: torch.dtype = torch.float32
    ) -> "Case":
        objective = classifier(net).to(dtype)
        each = chunks(objective, EPISODES * (depth + 1), rows, words)
        episodes = [each[start : start + depth + 1] for start in range(0, len(each), depth + 1)]
        return cls(objective, Net(objective), episodes, depth, order)

    def attention(self) -> contextlib.AbstractContextManager[Any]:
        """Of an inner step: the faster kernels have no second derivative. `ours` sees to that itself."""
        return sdpa_kernel(SDPBackend.MATH) if self.order == "second" else contextlib.nullcontext()

    @property
    def used(self) -> dict[str, nn.Parameter]:
        """The parameters that the loss hangs on."""
        every = named(self.net)
        found = torch.autograd.grad(self.net(self.episodes[0][0]), list(every.values()), allow_unused=True)
        return {name: p for (name, p), g in zip(every.items(), found, strict=True) if g is not None}


Backward = Callable[[], None]
"""Adds the gradient of the mean J over the episodes to the parameters' `grad`."""


def ours(case: Case, depth: int) -> Backward:
    made = Meta(
        {"only": case.objective},
        constant(float(depth)),
        Episodes(Layout(EPISODES, depth), kind="same"),
        Inner(case.order),
        Adaptation(RATE),
    )
    set_training(made)
    batches = [batch for episode in case.episodes for batch in episode[-1 - depth :]]
    whole = {key: torch.cat([batch[key] for batch in batches]) for key in batches[0]}
    return lambda: made(whole, STEP).value.backward()


def function_alone(case: Case) -> Backward:
    used = case.used

    def asked(theta: Any, batch: Batch) -> Tensor:
        return call(case.net, theta, batch)

    def inner(theta: Any, batch: Batch) -> Tensor:
        with case.attention():
            return call(case.net, theta, batch)

    losses = [inner] * case.depth + [asked]

    def backward() -> None:
        for episode in case.episodes:
            found, _ = meta_gradient(losses, used, episode, RATE, case.order)
            for name, parameter in used.items():
                own = found[name] / EPISODES
                parameter.grad = own if parameter.grad is None else parameter.grad + own

    return backward


def by_hand(case: Case) -> Backward:
    used, exact = case.used, case.order == "second"

    def backward() -> None:
        total = torch.zeros(())
        for *inner, asked in case.episodes:
            theta: dict[str, Any] = dict(used)
            for batch in inner:
                with case.attention():
                    loss = put_in(case.net, theta, batch)
                found = torch.autograd.grad(loss, list(theta.values()), create_graph=exact)
                theta = {
                    name: tensor - RATE * g for (name, tensor), g in zip(theta.items(), found, strict=True)
                }
            total = total + put_in(case.net, theta, asked)
        (total / EPISODES).backward()

    return backward


def put_in(net: nn.Module, theta: Any, batch: Batch) -> Tensor:
    """As one writes it for a network without shared parts."""
    return torch.func.functional_call(net, theta, (batch,))  # noqa: TID251


def torchopt_sgd(case: Case) -> Backward:
    import torchopt

    used, exact = case.used, case.order == "second"
    optimiser = torchopt.sgd(lr=RATE)

    def backward() -> None:
        total = torch.zeros(())
        for *inner, asked in case.episodes:
            theta: Any = dict(used)
            state = optimiser.init(theta)
            for batch in inner:
                with case.attention():
                    loss = put_in(case.net, theta, batch)
                found = torch.autograd.grad(loss, list(theta.values()), create_graph=exact)
                moves, state = optimiser.update(
                    dict(zip(theta, found, strict=True)), state, params=theta, inplace=False
                )
                theta = torchopt.apply_updates(theta, moves, inplace=False)
            total = total + put_in(case.net, theta, asked)
        (total / EPISODES).backward()

    return backward


def torchopt_module(case: Case) -> Backward:
    import torchopt

    optimiser = torchopt.MetaSGD(case.net, lr=RATE)

    def backward() -> None:
        start = torchopt.extract_state_dict(case.net, by="reference")
        fresh = torchopt.extract_state_dict(optimiser, by="reference")
        total = torch.zeros(())
        for *inner, asked in case.episodes:
            for batch in inner:
                with case.attention():
                    loss = case.net(batch)
                optimiser.step(loss)
            total = total + case.net(asked)
            torchopt.recover_state_dict(case.net, start)
            torchopt.recover_state_dict(optimiser, fresh)
        (total / EPISODES).backward()

    return backward


def ways(case: Case, peers: bool) -> Iterator[tuple[str, Backward]]:
    yield "ours", ours(case, case.depth)
    yield "meta_gradient", function_alone(case)
    yield "by hand", by_hand(case)
    if peers:
        yield "TorchOpt", torchopt_sgd(case)
        if case.order == "second":
            yield "TorchOpt MetaSGD", torchopt_module(case)
    yield "by hand, bare", by_hand(attrs.evolve(case, net=Net(case.objective, bare=True)))


# -- what is asked -------------------------------------------------------------------------------------------


def gradient(case: Case, backward: Backward) -> Tensor:
    """All of it as one vector; 0 where there is none."""
    case.net.zero_grad()
    backward()
    parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in named(case.net).values()]
    return torch.cat([part.flatten() for part in parts])


def parity(net: str, order: Order, peers: bool) -> dict[str, float]:
    """Greatest difference of any number of the gradient to ours, in float64, at depth 2; and its own greatest."""
    case = Case.of(net, 2, order, rows=8, words=10, dtype=torch.float64)
    found = {name: gradient(case, backward) for name, backward in ways(case, peers)}
    mine = found.pop("ours")
    differences = {name: float((other - mine).abs().max()) for name, other in found.items()}
    return {**differences, "greatest number of the gradient": float(mine.abs().max())}


def time_of(net: str, depth: int, order: Order, peers: bool, repeats: int) -> dict[str, Any]:
    """Milliseconds of an update, gradient and Adam: CPU time of one thread."""
    rows, words = (32, 10) if net == "mlp" else (8, 24)
    case = Case.of(net, depth, order, rows, words)
    adam = torch.optim.Adam(case.net.parameters(), lr=1e-4)

    def update(backward: Backward) -> Callable[[], None]:
        def once() -> None:
            adam.zero_grad()
            backward()
            adam.step()

        return once

    variants = {name: update(backward) for name, backward in ways(case, peers)}
    variants["ours at depth 0"] = update(ours(case, 0))
    times = alternate(variants, repeats, time.process_time)
    # A cost of ours is above 1 where the other is faster.
    cost = {name: round(1 / ratio, 3) for name, ratio in ratios(times).items()}
    return {"milliseconds": times, "ours over": cost}


def versions(peers: bool) -> dict[str, str]:
    found = {name: metadata.version(name) for name in ("torchopt",) if peers}
    return {"python": platform.python_version(), "torch": torch.__version__, **found}


def answer(job: dict[str, Any]) -> dict[str, Any]:
    """What a job asks for: {"ask": the name of a function here, its arguments}."""
    torch.set_num_threads(1)
    asked = {"versions": versions, "parity": parity, "time_of": time_of}[job["ask"]]
    return asked(**{name: value for name, value in job.items() if name != "ask"})
