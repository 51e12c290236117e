"""Objectives with tasks, batches for them, and small recipes."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from maskwright import Step, api
from maskwright_meta.bag_of_words import BagOfWords
from maskwright_meta.layout import Layout
from maskwright_meta.meta import Episodes, Meta
from maskwright_meta.simulation import Adaptation
from maskwright_meta.unroll import Inner
from maskwright_torch.batches import collate
from maskwright_torch.classify import Classify
from maskwright_torch.contracts import Encoded
from maskwright_torch.gradients import seed_modules
from maskwright_torch.part import seeded, set_training

STEP = Step(seed=3, number=2, total=10)
WORDS = ["red", "green", "blue", "one", "two", "three", "four", "five", "six", "seven"]


class Counting(nn.Module):
    """Changes a buffer in place in every pass, as running means do."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("passes", torch.zeros(()))

    def forward(self, x):
        self.passes += 1
        return x


class Attentive(nn.Module):
    """An encoder with torch's fused attention."""

    pooled_width = width = 8

    def __init__(self) -> None:
        super().__init__()
        inner = bag()
        self.prepare, self.table = inner.prepare, inner.table
        self.maps = nn.ModuleList(nn.Linear(6, 8) for _ in range(3))

    def forward(self, batch, hidden=None):
        x = nn.functional.embedding(batch["words"].clamp(min=0), self.table)
        q, k, v = (layer(x)[:, None] for layer in self.maps)
        states = self.attend(q, k, v)[:, 0]
        index = torch.zeros(states.shape[:2], dtype=torch.int64)
        return Encoded(states, index, index == 0, states.mean(dim=1), states[:, :0])

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return nn.functional.scaled_dot_product_attention(q, k, v)


def items(count: int, task: str = "", classes: int = 2) -> list[dict[str, Any]]:
    """Texts of three words; the label of item n is n modulo the classes."""
    found = []
    for n in range(count):
        text = " ".join(WORDS[(n * k + k) % len(WORDS)] for k in (1, 3, 7))
        item = {"id": f"{task or 'i'}{n}", "text": text, "label": n % classes}
        found.append({**item, "task": task} if task else item)
    return found


def bag(seed: int = 0, dropout: float = 0.0) -> Any:
    encoder = seeded(seed, lambda: BagOfWords(16, 6, 8, 1))
    if dropout:
        encoder.layers.append(nn.Dropout(dropout))
    return encoder


def classifier(encoder: Any, seed: int = 1, classes: int = 2) -> Classify:
    return seeded(seed, lambda: Classify(encoder, classes, norm=False, head_std=0.3))


def meta(
    tasks: Mapping[str, Any] | None = None,
    depth: float = 1.0,
    *,
    layout: tuple[int, int] | None = None,
    inner: Mapping[str, Any] | None = None,
    adaptation: Mapping[str, Any] | None = None,
    **episodes: Any,
) -> Meta:
    """A meta-objective in float64; by default two classifiers `a` and `b` that share an encoder."""
    if tasks is None:
        encoder = bag()
        tasks = {"a": classifier(encoder), "b": classifier(encoder, seed=2)}
    shape = Layout(*(layout or (1, int(depth))))
    made = Meta(
        tasks, lambda progress, u=0.0: depth, Episodes(shape, **episodes), Inner(**(inner or {})),
        Adaptation(**{"rate": 0.3, **(adaptation or {})}),
    )  # fmt: skip
    set_training(made)
    return made.double()


def batch_of(objective: Meta, rows: Sequence[Mapping[str, Any]], step: Step = STEP) -> dict[str, Any]:
    return collate(rows, range(len(rows)), objective.prepare, step)


def gradients(objective: Meta, batch: Mapping[str, Any], step: Step = STEP) -> dict[str, Tensor | None]:
    """Gradient of every parameter, as the engine would leave it."""
    objective.zero_grad()
    seed_modules(step)
    objective(batch, step).value.backward()
    found = {name: None if p.grad is None else p.grad.clone() for name, p in objective.named_parameters()}
    objective.zero_grad()
    return found


def chunks(*tasks: str, rows: int = 4) -> list[dict[str, Any]]:
    """Items in chunks of one task each."""
    each = {task: iter(items(rows * len(tasks), task)) for task in tasks}
    return [next(each[task]) for task in tasks for _ in range(rows)]


def after_step(module: Any, batch: Mapping[str, Any], rate: float, step: Step) -> Any:
    """A deep copy of an objective after one step of gradient descent."""
    moved = copy.deepcopy(module)
    moved.zero_grad()
    moved(batch, step).value.backward()
    with torch.no_grad():
        for parameter in moved.parameters():
            if parameter.grad is not None:
                parameter -= rate * parameter.grad
    moved.zero_grad()
    return moved


SMALL: dict[str, Any] = {
    "use": "train", "steps": 8, "batch": 16, "log_every": 1, "checkpoint_every": 4, "device": "cpu", "lr": 1e-2,
    "data": {
        "use": "topic-maps", "topics": 4, "words": 20, "length": 4, "classes": 2, "tasks": 6, "items": 24, "pool": 60,
        "test_tasks": 2, "test_items": 12,
    },
    "objective": {
        "use": "meta", "depth": 1, "episodes": 2, "episode": "same", "inner_rate": 0.3,
        "tasks": [{
            "use": "classify", "as": "topics", "classes": 2, "norm": False, "head_std": 0.1,
            "encoder": {"use": "bag-of-words", "buckets": 32, "width": 8, "embedding": 6, "depth": 1},
        }],
    },
}  # fmt: skip


def two_tasks() -> dict[str, Any]:
    """The same with two data sets and an objective for each, which share an encoder."""
    recipe = copy.deepcopy(SMALL)
    own = {**recipe["data"], "tasks": 1, "items": 40}
    recipe["data"] = {"use": "tasks", "sets": [{**own, "as": "a"}, {**own, "as": "b", "labels": "noise"}]}
    first = recipe["objective"]["tasks"][0]
    shared = {"ref": "objective.tasks.a.encoder"}
    recipe["objective"] |= {
        "tasks": [{**first, "as": "a"}, {**first, "as": "b", "encoder": shared}],
        "episode": "mixed",
    }
    return recipe


def run(recipe: Mapping[str, Any], out: Path, overrides: Mapping[str, Any] | None = None) -> Any:
    return api.run(recipe, overrides or {}, out=out, pictures=False)
