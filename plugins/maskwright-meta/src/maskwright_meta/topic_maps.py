"""dataset:topic-maps — generated: texts about topics, and tasks that label the same topics each in its own way.

A text is a few words drawn from the distribution of its topic. A task maps topics to labels. With random maps two tasks
ask for opposite answers to the same text: whoever learns them all at once learns nothing, and only a few labelled texts
of a task tell what it wants.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs
import numpy as np

from maskwright.step import Step
from maskwright_meta.task_rows import TaskRows, digest

Labels = Literal["random", "same", "noise"]


@attrs.frozen
class World:
    """Topics as distributions over words; the same for every data set that names the same world."""

    topics: int
    words: int
    sharpness: float
    """A word's chance in a topic is proportional to exp(sharpness * z), z normal: 0 is no topic at all."""
    number: int

    def chances(self) -> np.ndarray:
        """(topics, words)"""
        raw = _rng(Step(self.number).fork("topic-maps"), "topics").normal(size=(self.topics, self.words))
        raised = np.exp(self.sharpness * (raw - raw.max(axis=1, keepdims=True)))
        return raised / raised.sum(axis=1, keepdims=True)


class Texts:
    """A pool of texts, and the topic of each."""

    def __init__(self, world: World, length: int, count: int, step: Step) -> None:
        rng = _rng(step, "texts")
        self.topic = rng.integers(world.topics, size=count)
        edges = world.chances().cumsum(axis=1)[self.topic]  # (texts, words)
        draws = rng.random((count, length, 1))
        words = (draws > edges[:, None, :-1]).sum(axis=2)
        self.text = [" ".join(f"w{word}" for word in row) for row in words.tolist()]


@attrs.frozen(eq=False)
class OneTask(Sequence):
    """Texts of the pool from `start` on, labelled by a map of topics; items are made when they are asked for."""

    name: str
    pool: Texts
    start: int
    labels: np.ndarray
    """int (topics,), or (items,) where labels have nothing to do with topics."""
    count: int
    by_topic: bool

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: Any) -> Mapping[str, Any]:
        row = (self.start + index) % len(self.pool.text)
        label = self.labels[self.pool.topic[row] if self.by_topic else index]
        return {"id": f"{self.name}-{index:05d}", "text": self.pool.text[row], "label": int(label)}


def topic_maps(
    world: World,
    length: int,
    classes: int,
    sizes: Mapping[str, tuple[int, int]],
    pool: int,
    labels: Labels,
    seed: int,
) -> TaskRows:
    """`sizes`: split -> (tasks, items of each); `pool`: texts of a split, which its tasks share."""
    step = Step(seed)
    tasks: dict[str, dict[str, OneTask]] = {}
    for split, (count, items) in sizes.items():
        texts = Texts(world, length, pool, step.fork(split))
        tasks[split] = {}
        for number in range(count):
            name = f"map-{number:04d}"
            rng = _rng(step.fork(split).at(number), "map")
            start = int(rng.integers(pool))
            given = _labels(rng if labels != "same" else _rng(step, "one map"), world, classes, labels, items)
            tasks[split][name] = OneTask(f"{split}-{name}", texts, start, given, items, labels != "noise")
    facts: dict[str, Any] = {
        "classes": [f"label {n}" for n in range(classes)],
        "notices": ["these texts are generated"],
        "generated": True,
    }
    content = [attrs.astuple(world), length, classes, sorted(sizes.items()), pool, labels, seed]
    return TaskRows("topic-maps", tasks, facts, digest(content))


def _labels(rng: np.random.Generator, world: World, classes: int, labels: Labels, items: int) -> np.ndarray:
    """Each label has as many topics as the others, or one more."""
    if labels == "noise":
        return rng.integers(classes, size=items)
    return rng.permutation(world.topics) % classes


def _rng(step: Step, stream: str) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=step.stream(stream)))
