"""recipe:train: puts the parts of a training run together and takes up where an earlier process stopped."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import nn

from maskwright.catalogue import catalogue
from maskwright.contracts import Dataset
from maskwright.errors import UserError
from maskwright.parts import followed, inlined
from maskwright.planner import Planner
from maskwright.runs import Run
from maskwright.schedules import warmup
from maskwright.sources import merge
from maskwright.step import Step
from maskwright.tree import Node, index_of, own_tags, tags_of, to_json, walk_built
from maskwright_torch import checkpoint
from maskwright_torch.batches import Batches, Order
from maskwright_torch.best import best_of
from maskwright_torch.contracts import Reshaped
from maskwright_torch.device import Compute, compute_for, repeatable
from maskwright_torch.gradients import backward
from maskwright_torch.loop import Trainer, train
from maskwright_torch.optim import make_optimiser
from maskwright_torch.part import Part, frozen_digests, set_training
from maskwright_torch.ranks import Ranks, joined


class TrainRecipe:
    """Holds the built parts; `run` does the work."""

    def __init__(self, params: Any) -> None:
        self.params = params

    def run(self, run: Run) -> None:
        compute = compute_for(self.params.device, self.params.precision)
        with repeatable(self.params.deterministic), joined(compute.device) as ranks:
            self._run(run, compute, ranks)
            ranks.wait()

    def _run(self, run: Run, compute: Compute, ranks: Ranks) -> None:
        params = self.params
        objective, data = params.objective, params.data
        refuse_ranks(run, ranks)
        if ranks.is_first:
            run.fit_parts(data)
        run.folder = Path(ranks.text_from_first(str(run.folder.absolute())))
        if not ranks.is_first:
            run.fit_parts(data)
        count = count_items(data, params.split)
        order = order_of(objective, run.step().fork("data"), data, params.split, params.batch)
        batch = rows_of_batch(order, params.batch, count, run)
        total = steps_of(params, count, batch)
        compute.place(objective)
        if params.compile:
            compile_encoders(run)
        optimiser = optimiser_of(params, objective, total)
        best = best_of(params.best, params.evaluators)
        if batch < order.unit * ranks.size * params.accumulate:
            raise too_few_rows(batch, ranks, params.accumulate, order.unit)
        batches = Batches(
            data,
            params.split,
            objective.prepare,
            order,
            run.step(0, total),
            params.accumulate,
            ranks.rank,
            ranks.size,
        )
        lr = params.lr * (batch / params.lr_batch if params.lr_batch else 1.0)
        shape = warmup(params.lr_shape, 0.0, params.warmup)
        trainer = Trainer(
            run, params, objective, objective, optimiser, batches, compute, ranks,
            lambda progress: lr * shape(progress), params.evaluators, data, best, frozen_digests(objective),
        )  # fmt: skip
        (start,) = ranks.from_first([self._go_on(run, trainer) if ranks.is_first else 0])
        if start and not ranks.is_first:
            checkpoint.load(checkpoint.find(run.folder, str(start)), objective, optimiser)
        if total:
            try_two_rows(trainer)
        if params.parallel == "ddp" and ranks.size > 1:
            trainer.call = nn.parallel.DistributedDataParallel(objective)
        train(trainer, start)
        if ranks.is_first:
            offer_parts(run, objective)

    def _go_on(self, run: Run, trainer: Trainer) -> int:
        """The number of steps that are done already; their state is put back."""
        said = trainer.data.about(self.params.split).get("notices", ())
        for notice in [*said, *getattr(trainer.objective, "notices", ())]:
            run.say(f"note: {notice}")
        latest = run.latest()
        if latest is None:
            return 0
        checkpoint.check_settings(run, checkpoint.read_json(latest), latest)
        state = checkpoint.load(latest, trainer.objective, trainer.optimiser)
        trainer.window.sums, trainer.window.totals = state["window"], state.get("totals", {})
        trainer.best.go_on(state["best"])
        trainer.frozen = state["frozen"]
        return latest.number


def refuse_ranks(run: Run, ranks: Ranks) -> None:
    """UserError where a batch that has to stay together would be cut into the parts of several processes."""
    index = index_of(run.root)
    objective = index.get("objective")  # None: one that was made in Python and has no tags
    if ranks.size > 1 and objective is not None and "whole-batch" in tags_of(objective, index):
        raise UserError(
            f"this objective compares the rows of a batch with each other, and {ranks.size} processes share it out",
            where="objective",
            why="each would see its own rows only, and the result would depend on how many there are",
            cure="start it without torchrun, or switch off what compares rows",
        )


def steps_of(params: Any, count: int, batch: int) -> int:
    """Optimiser steps of the whole run; an epoch is as many rows as there are items."""
    if params.steps is not None:
        return params.steps
    return max(round(params.epochs * count / batch), 1) if params.epochs else 0


def optimiser_of(params: Any, objective: nn.Module, total: int) -> torch.optim.Optimizer:
    """The optimiser that the settings name; one of nothing where no step is taken, so that all may be frozen."""
    if total == 0:
        return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=params.lr)
    return make_optimiser(
        params.optimiser,
        objective,
        lr=params.lr,
        betas=params.betas,
        momentum=params.momentum,
        decay=params.decay,
    )


def count_items(data: Dataset, split: str) -> int:
    if split not in data.splits():
        raise UserError(
            f'the data has no split "{split}"', where="split", cure=f"one of {', '.join(data.splits())}"
        )
    count = data.length(split)
    if count == 0:
        raise UserError(
            f'the split "{split}" of the data is empty', where="data", cure="give data with items to train on"
        )
    return count


def order_of(objective: Any, step: Step, data: Dataset, split: str, batch: int) -> Any:
    """Which items make up each batch: a walk through all of them, unless the objective knows better.

    A walk has no batches of more rows than there are items; an objective may take an item twice.
    """
    if hasattr(objective, "order"):
        return objective.order(step, data, split, batch)
    count = data.length(split)
    return Order(step, count, min(batch, count))


def rows_of_batch(order: Any, asked: int, count: int, run: Run) -> int:
    """As many as the order gives; said where those are fewer than the recipe asks for."""
    batch = len(order.places(0))
    if batch < asked:
        run.say(f"note: the data has {count} items, so every batch holds {batch} and not {asked}")
    return batch


def too_few_rows(batch: int, ranks: Ranks, pieces: int, unit: int) -> UserError:
    kept = f" of {unit} rows at least" if unit > 1 else ""
    return UserError(
        f"a batch of {batch} rows cannot be cut into {ranks.size} ranks × {pieces} pieces{kept}",
        where="batch",
        cure="a larger batch, or fewer ranks or pieces",
    )


def compile_encoders(run: Run) -> None:
    """Encoders, not objectives: those would be compiled anew for every step number."""
    for node in walk_built(run.root):
        part = run.parts.get(node.path)
        if node.kind == "encoder" and isinstance(part, nn.Module):
            part.compile()


def try_two_rows(trainer: Trainer) -> None:
    """Forward and backward on two rows, so that parts that do not fit fail before the first step, in plain words."""
    objective = trainer.objective
    made = trainer.batches[0]
    if not isinstance(made, list):
        raise made.error
    # What belongs together is not cut, nor a batch that holds others.
    whole = trainer.batches.order.unit > 1 or not all(isinstance(v, torch.Tensor) for v in made[0].values())
    rows = made[0] if whole else {name: tensor[:2] for name, tensor in made[0].items()}
    before = {name: buffer.clone() for name, buffer in objective.named_buffers()}
    set_training(objective)
    try:
        backward(objective, objective, [rows], trainer.run.step(), trainer.compute, Ranks())
    except torch.OutOfMemoryError as error:
        raise UserError(
            "there is not enough memory for two rows",
            where=f"device {trainer.compute.device}",
            why=str(error).splitlines()[0][:300],
            cure="a smaller encoder, or another device",
        ) from error
    except (RuntimeError, ValueError, TypeError, IndexError, KeyError) as error:
        raise UserError(
            "the parts of this recipe do not work together",
            where="objective, on two rows of the data",
            why=f"{type(error).__name__}: {str(error).strip()[:400]}",
            cure="compare sizes and fields of encoder, masker, objective and data",
        ) from error
    for parameter in objective.parameters():
        parameter.grad = None
    for name, buffer in objective.named_buffers():
        if name in before:
            buffer.copy_(before[name])


def offer_parts(run: Run, objective: Any) -> None:
    """Parts that are no slots, or have another shape than planned: saved, so that from-run can take them."""
    if not hasattr(objective, "parts"):
        return
    planner, planned = Planner(catalogue()), index_of(run.root)
    for name, found in objective.parts().items():
        if isinstance(found, Reshaped):
            node = followed(planned[f"objective.{found.path}"], planned)
            raw = merge(inlined(to_json(_kept_here(node)), planned, node.path), found.settings)
            part = found.module
            for inside, path in _fitted_below(node, planned, node.path):
                run.save_part(name + inside, run.parts[path])
        else:
            params, part = found
            raw = planner.to_raw(params)
        run.save_part(name, part)
        run.offer_part(name, raw)


def _fitted_below(
    node: Node, index: Mapping[str, Node], root: str, at: str = ""
) -> Iterator[tuple[str, str]]:
    """(where the part at `root` holds it, where it stands in this run) of each fitted part that it is made of."""
    for _, child in node.children():
        place, kept = at + child.path.removeprefix(node.path), followed(child, index)
        if kept is not child and kept.path.startswith(f"{root}."):
            continue  # shared inside of the part, and kept where it stands
        if kept.source is None and "fitted" in own_tags(kept):
            yield place, kept.path
        yield from _fitted_below(kept, index, root, place)


def _kept_here(node: Node) -> Node:
    """Without the runs that weights were read from: those have another shape, and these are kept in this run."""
    if node.is_reference or "fitted" in own_tags(node):
        return node
    slots = {
        name: [_kept_here(child) for child in value]
        if isinstance(value, list)
        else value and _kept_here(value)
        for name, value in node.slots.items()
    }
    return attrs.evolve(node, source=None, slots=slots)


def restore_part(run: Path, path: str, at: str, part: Any) -> None:
    """The state that a part had at a checkpoint; a part that was offered beside the slots has a folder of its own."""
    if not isinstance(part, nn.Module):
        return  # a schedule or a data set: made from its settings alone
    offered = run / "parts" / path
    if (
        offered.is_dir()
        and isinstance(part, Part)
        and not (path == "objective" or path.startswith("objective."))
    ):
        part.load(offered)
        return
    inner = path.removeprefix("objective").lstrip(".")
    checkpoint.restore(checkpoint.find(run, at), part, inner)
