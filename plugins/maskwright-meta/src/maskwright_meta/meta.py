"""objective:meta — pre-train for the ability to be fine-tuned (arXiv:2004.05568): a loss after simulated fine-tuning.

Any objectives are the tasks; they may share an encoder. A batch holds `episodes` episodes of `deepest` + 1 chunks of
rows. At depth k the first k chunks of an episode make inner steps, and the loss J is that of the rest at theta_k. At
depth 0 all rows are the rest: plain training on all tasks at once; with a single objective its very loss.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor, nn

from maskwright.contracts import Dataset
from maskwright.errors import UserError, did_you_mean
from maskwright.step import Step
from maskwright_meta.adapted import adapted_keys
from maskwright_meta.episode_order import (
    check_enough,
    check_held_out,
    check_untold,
    class_counts,
    episode_order,
    family_of,
    sizes_of,
    tasks_in,
)
from maskwright_meta.layout import Layout
from maskwright_meta.params_objectives import whole
from maskwright_meta.prototypes import classifies
from maskwright_meta.rates import LearnedRates
from maskwright_meta.sampling import Episode, Sampling, TaskSampler
from maskwright_meta.simulation import Adaptation, Simulation
from maskwright_meta.task_batches import TASK, PrepareTasks, rows_of_task
from maskwright_meta.trial import try_deepest, try_memory, try_second_derivatives
from maskwright_meta.unroll import Exploded, Inner
from maskwright_torch.batches import Order
from maskwright_torch.contracts import ROWS, Batch, Loss
from maskwright_torch.functional import named
from maskwright_torch.masking import ratios
from maskwright_torch.optim import split_by_decay
from maskwright_torch.part import Part

RESERVED = (TASK, ROWS)
"""Names in a batch that are no task's."""


@attrs.frozen
class Episodes:
    """How tasks become episodes."""

    layout: Layout
    kind: Episode = "mixed"
    sampling: Sampling = "size-power"
    power: float = 0.75
    weights: Mapping[str, float] = attrs.field(factory=dict)
    replacement: bool = False


class Meta(Part):
    """Objectives as tasks, and the loss after k inner steps on some of them."""

    def __init__(
        self,
        tasks: Mapping[str, nn.Module],
        depth: Any,
        episodes: Episodes,
        inner: Inner,
        adaptation: Adaptation,
    ) -> None:
        super().__init__()
        for name in tasks:
            if name in RESERVED or hasattr(nn.ModuleDict(), name):
                raise UserError(
                    f'"{name}" is no name for a task',
                    where="objective:meta, tasks",
                    why="what holds the tasks has something of that name itself",
                    cure=f'give it another, such as as = "{name}-task"',
                )
        if adaptation.prototypes and not any(map(classifies, tasks.values())):
            raise UserError(
                "no task has classes that prototypes could be of",
                where='objective:meta, heads = "prototypes"',
                why=f"the tasks are {', '.join(tasks)}",
                cure='heads = "own", or a task of objective:classify',
            )
        self.tasks = nn.ModuleDict(tasks)
        self.depth, self.episodes, self.inner, self.adaptation = depth, episodes, inner, adaptation
        self.names = tuple(tasks)
        self.chunk: int | None = None
        """Rows of a chunk, known from when the engine has asked for the order of batches."""
        self._said: list[str] = []
        """What the log says of the data."""
        self._spent = (0, 0, 0)
        """Total of the run, updates that are counted, what they took."""
        self.has_tried = False
        """Whether a backward pass has shown that all parts have second derivatives."""
        prepares: list[Any] = [objective.prepare for objective in tasks.values()]
        if len(tasks) > 1:
            sampler = self._sampler(dict.fromkeys(tasks, 1))
            self.prepare: Any = PrepareTasks(
                self.names, tuple(prepares), sampler, episodes.kind, episodes.layout
            )
        else:
            self.prepare = prepares[0]
        keys = adapted_keys(self.tasks, adaptation.adapted, adaptation.last)
        if adaptation.learned:
            every = named(self.tasks)
            wanted = {key: every[key] for key in every if key in keys}
            self.rates = LearnedRates(wanted, adaptation.rate, adaptation.per)

    # -- for the engine ----------------------------------------------------------------------------------------

    def order(self, step: Step, data: Dataset, split: str, batch: int) -> Any:
        """Which items make up each batch: by task where the data know of tasks, else the engine's walk."""
        layout, kind, found = self.episodes.layout, self.episodes.kind, tasks_in(data, split)
        if found:
            self._match(sizes_of(found))
            self._said = self._about_heads(data.about(split))
            sampler = self._sampler(sizes_of(found))
            made = episode_order(step, found, sampler, layout, kind, batch, self.episodes.replacement)
            self._use_chunk(made.chunk)
            return made
        check_held_out(kind, self._sampler(dict.fromkeys(self.names, 1)))
        count = data.length(split)
        if len(self.names) == 1 and layout.deepest == 0:
            return Order(step, count, min(batch, count))
        rows = layout.rows_of_chunk(batch)
        if layout.deepest:
            check_untold(data, split, step)
            check_enough(count, rows * layout.chunks)
        self._use_chunk(rows)
        # The loss after the inner steps is of other items than these are.
        return Order(step, count, batch, rows * layout.chunks, whole=layout.deepest > 0)

    def _sampler(self, sizes: Mapping[str, int]) -> TaskSampler:
        """p(T) of tasks with so many items."""
        return TaskSampler.of(self.episodes.sampling, sizes, self.episodes.power, self.episodes.weights)

    def _about_heads(self, about: Mapping[str, Any]) -> list[str]:
        """What to say of tasks with unlike numbers of classes under one head."""
        if self.adaptation.prototypes:
            return []
        shared: dict[str, dict[str, int]] = {}
        for task, count in class_counts(about).items():
            shared.setdefault(family_of(task) if len(self.names) > 1 else self.names[0], {})[task] = count
        return [
            f"tasks of {', '.join(map(str, sorted(set(own.values()))))} classes share the head of {name}, so that a "
            'class means something else in each: give each task an objective, or heads = "prototypes"'
            for name, own in shared.items()
            if len(set(own.values())) > 1
        ]

    def _use_chunk(self, rows: int) -> None:
        self.chunk = rows
        if isinstance(self.prepare, PrepareTasks):
            self.prepare = attrs.evolve(self.prepare, chunk=rows)

    def _match(self, families: Mapping[str, int]) -> None:
        """UserError unless every task of the data has an objective and the reverse; a single one serves them all."""
        if len(self.names) == 1:
            return
        lacking = [name for name in families if name not in self.names]
        idle = [name for name in self.names if name not in families]
        if lacking or idle:
            words = [f"no objective for the data {name}" for name in lacking]
            words += [f"no data for the objective {name}" for name in idle]
            raise UserError(
                "; ".join(words),
                where="objective:meta, tasks",
                why=f"objectives: {', '.join(self.names)}; data: {', '.join(families)}",
                cure='give an objective and its data the same name, as = "…"'
                + did_you_mean((idle or lacking)[0], lacking if idle else self.names),
            )

    def groups(self, decay: float) -> list[dict[str, Any]]:
        """The groups that the objectives ask for; a shared parameter is in those of the first."""
        found: list[dict[str, Any]] = []
        taken: set[int] = set()
        for objective in self.tasks.values():
            own: Any = objective
            wanted = (
                own.groups(decay) if hasattr(own, "groups") else split_by_decay(own.named_parameters(), decay)
            )
            for group in wanted:
                new = [parameter for parameter in group["params"] if id(parameter) not in taken]
                taken.update(map(id, new))
                found += [{**group, "params": new}] if new else []
        if self.adaptation.learned:
            found.append({"params": list(self.rates.parameters()), "weight_decay": 0.0})
        return found

    @property
    def counts(self) -> Callable[..., Mapping[str, Tensor]]:
        """There where a single objective has it: at depth 0 its loss is this one's."""
        own: Any = next(iter(self.tasks.values()))
        if len(self.names) > 1 or not hasattr(own, "counts"):
            raise AttributeError("counts")
        return own.counts

    @property
    def notices(self) -> list[str]:
        """What the log says before training."""
        said = list(self._said)
        if self.episodes.layout.deepest == 0:
            return said
        if self.inner.takes_second_derivatives:
            said.append(
                "second-order inner steps use torch's plain attention (SDPBackend.MATH): the faster kernels have no "
                "second derivative; bf16 costs them accuracy"
            )
        if self.adaptation.rate == 0 and not self.adaptation.learned:
            said.append("inner_rate is 0: inner steps change nothing, this is plain training on all tasks")
        return said

    def spent(self, step: Step) -> int:
        """Gradient evaluations of the updates before `step`. A schedule is walked on from where it was left."""
        low, high = getattr(self.depth, "range", (0.0, 1.0))
        if low == high:
            return step.number * self.episodes.layout.episodes * self.inner.passes(self.depth_at(step.at(0)))
        total, known, found = self._spent
        if total != step.total or known > step.number:
            known, found = 0, 0
        for number in range(known, step.number):
            found += self.episodes.layout.episodes * self.inner.passes(self.depth_at(step.at(number)))
        self._spent = step.total, step.number, found
        return found

    # -- the loss ----------------------------------------------------------------------------------------------

    def depth_at(self, step: Step) -> int:
        """k at a step: the schedule's value there, rounded; UserError above `deepest`."""
        value = float(ratios(self.depth, step, torch.zeros(1, dtype=torch.int64))[0])
        depth = whole(value)
        if depth > self.episodes.layout.deepest:
            raise UserError(
                f"the depth is {depth}, and batches are laid out for {self.episodes.layout.deepest} inner steps",
                where="objective:meta, depth",
                cure=f"deepest={depth}",
            )
        return depth

    def forward(self, batch: Batch, step: Step) -> Loss:
        depth = self.depth_at(step)
        to_be_tried = not self.has_tried and self.inner.takes_second_derivatives and torch.is_grad_enabled()
        if to_be_tried:
            try_memory(self, batch, step)
            if depth < self.episodes.layout.deepest:
                try_deepest(self, batch, step)
        if depth == 0:
            return self._at_once(batch, step)
        simulated = Simulation(self.tasks, self.inner, self.adaptation, self._rate)
        values, inner, skipped = [], [], 0
        for chunks in self.episodes_in(batch):
            try:
                value, losses = simulated.episode(*self._parted(batch, chunks, depth), step)
            except Exploded as error:
                self._exploded(error, step)
                skipped += 1
                continue
            # Weights may be numbers still where their loss is none.
            if self.adaptation.on_explosion == "skip" and not bool(value.isfinite()):
                skipped += 1
                continue
            values.append(value)
            inner.append(torch.stack(losses).mean())
        if not values:  # nothing hangs on a parameter, so none is changed
            nothing = torch.zeros((), device=batch[ROWS].device, requires_grad=True)
            return Loss.of(nothing, nothing.detach(), self._parts(depth, nothing.detach(), 1.0))
        total = torch.stack(values).sum()  # of episodes
        if to_be_tried:
            try_second_derivatives(self, total, batch, step)
        parts = self._parts(depth, torch.stack(inner).mean(), skipped / (skipped + len(values)))
        return Loss.of(total, total.new_tensor(float(len(values))), parts)

    def _parts(self, depth: int, inner: Tensor, skipped: float) -> dict[str, Tensor]:
        """For the log; the same names whatever happened, because ranks add them up."""
        parts = {"depth": inner.new_tensor(float(depth)), "inner_loss": inner}
        if self.adaptation.on_explosion == "skip":
            parts["skipped"] = inner.new_tensor(float(skipped))
        return parts

    def _at_once(self, batch: Batch, step: Step) -> Loss:
        """Depth 0: the rows that an episode has of a task go through its objective as one batch; the mean over rows.

        Not all rows of the piece at once: an objective may count something else than rows, such as hidden tokens, and
        its mean over a piece would then depend on how the batch is cut. An episode is never cut.
        """
        if len(self.names) == 1:
            return self.tasks[self.names[0]](batch, step)
        rows = len(batch[ROWS])
        episode = rows if self.chunk is None else self.chunk * self.episodes.layout.chunks
        values = [
            self.tasks[name](own, step).value * len(own[ROWS])
            for start in range(0, rows, episode)
            for name, own in self._by_task(batch, slice(start, start + episode))
        ]
        total = torch.stack(values).sum()
        return Loss.of(total, total.new_tensor(float(rows)))

    def _parted(
        self, batch: Batch, chunks: Sequence[slice], depth: int
    ) -> tuple[list[tuple[str, Batch]], list[tuple[str, Batch]]]:
        """The inner steps of an episode, and what its loss is asked of: (task, rows) of each."""
        steps = [one for part in chunks[:depth] for one in self._by_task(batch, part)]
        # A task that an inner step has seen does not count where it is to be held out.
        first = -1 if self.episodes.kind == "held-out" else depth
        return steps, list(self._by_task(batch, slice(chunks[first].start, chunks[-1].stop)))

    def _by_task(self, batch: Batch, part: slice) -> Iterator[tuple[str, Batch]]:
        """(task, its rows in `part` of the batch) for each task that is there."""
        if len(self.names) == 1:
            yield self.names[0], {key: tensor[part] for key, tensor in batch.items()}
            return
        for number, name in enumerate(self.names):
            own = torch.nonzero(batch[TASK][part] == number)[:, 0] + part.start
            if len(own):
                yield name, rows_of_task(batch, name, number, own)

    def episodes_in(self, batch: Batch) -> Iterator[Sequence[slice]]:
        """Where each chunk lies in the batch, for each episode in the piece."""
        layout, rows = self.episodes.layout, len(batch[ROWS])
        size = layout.chunk_in(rows, self.chunk)
        chunks = [slice(start, start + size) for start in range(0, rows, size)]
        for start in range(0, len(chunks), layout.chunks):
            yield chunks[start : start + layout.chunks]

    def _rate(self, name: str) -> float | Tensor:
        return self.rates(name) if self.adaptation.learned else self.adaptation.rate

    # -- what is tried before the first step ------------------------------------------------------------------------

    def first_episode(self, batch: Batch) -> tuple[list[tuple[str, Batch]], list[tuple[str, Batch]]]:
        """Of a batch, as it is at the greatest depth: inner steps, and what the loss is asked of."""
        return self._parted(batch, next(self.episodes_in(batch)), self.episodes.layout.deepest)

    def trial(self, batch: Batch, steps: int, step: Step) -> Tensor:
        """The loss after the first `steps` of an episode. At rate 0 nothing explodes, and the graph is the same."""
        simulated = Simulation(self.tasks, self.inner, self.adaptation, lambda name: 0.0)
        inner, asked = self.first_episode(batch)
        return simulated.episode(inner[:steps], asked, step)[0]

    def _exploded(self, error: Exploded, step: Step) -> None:
        if self.adaptation.on_explosion == "skip":
            return
        rate = "learned rates" if self.adaptation.learned else f"inner_rate = {self.adaptation.rate:g}"
        raise UserError(
            f"inner step {error.number} on the task {error.label} ended in numbers that are none",
            where=f"objective:meta, step {step.number + 1}",
            why=f"the loss before it was {error.loss:.4g}, {rate}",
            cure='a smaller inner_rate, or on_explosion = "skip"; the last checkpoint is as it was',
        ) from None
