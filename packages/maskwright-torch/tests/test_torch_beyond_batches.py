"""What an objective may ask of the engine beside batches: an order of its own, a visit to the data, nested batches."""

from pathlib import Path
from typing import Any

import pytest
import torch
from toys import Numbers, Regression, prepare

from maskwright import Step, UserError, api
from maskwright_torch.batches import Order
from maskwright_torch.device import Compute
from maskwright_torch.params_train import Train

STEPS, BATCH = 4, 6


class Pairs:
    """Batch n: item n and the one after it, three times."""

    unit = 2

    def places(self, number: int) -> list[tuple[int, int]]:
        return [(number, number), (number, number + 1)] * 3


class Curious(Regression):
    """Records the rows of each batch, and what it sees of the data before it."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[int]] = []
        self.visits: list[tuple[int, list[int], Path]] = []

    def order(self, step: Step, data: Any, split: str, batch: int) -> Pairs:
        assert (split, batch) == ("train", BATCH)
        return Pairs()

    def before_step(self, visit: Any, step: Step) -> None:
        seen = [row for batch in visit.batches(range(visit.length), 8) for row in batch["rows"].tolist()]
        self.visits.append((step.number, seen, visit.folder))

    def forward(self, batch: Any, step: Step) -> Any:
        self.rows.append(batch["rows"].tolist())
        return super().forward(batch, step)


def trained(objective: Any, folder: Path, **settings: Any) -> Any:
    params = Train(data=Numbers(), objective=objective, steps=STEPS, batch=BATCH, device="cpu", **settings)
    return api.run(params, out=folder, pictures=False)


def test_an_objective_may_choose_what_makes_a_batch(tmp_path: Path):
    objective = Curious()
    trained(objective, tmp_path / "run")
    assert objective.rows[0] == [0, 1] * 3, "what belongs together is not cut for the trial either"
    assert objective.rows[1:] == [[number, number + 1] * 3 for number in range(STEPS)]


def test_pieces_hold_whole_units(tmp_path: Path):
    objective = Curious()
    trained(objective, tmp_path / "run", accumulate=2)
    assert [len(rows) for rows in objective.rows] == [4] + [4, 2] * STEPS
    with pytest.raises(
        UserError, match="a batch of 6 rows cannot be cut into 1 ranks × 4 pieces of 2 rows at least"
    ):
        trained(Curious(), tmp_path / "other", accumulate=4)


def test_an_objective_sees_the_data_before_every_batch(tmp_path: Path):
    objective = Curious()
    run = trained(objective, tmp_path / "run")
    assert objective.visits == [(number, list(range(20)), Path(run.folder)) for number in range(STEPS)]


def test_items_of_a_visit_do_not_change():
    from maskwright_torch.ranks import Ranks
    from maskwright_torch.visit import Visit

    visit = Visit(Numbers(), "train", prepare, Step(5), Compute(torch.device("cpu")), Ranks(), Path(), 4)
    (one,), (two,) = (list(visit.batches([3, 1], 8)) for _ in range(2))
    assert torch.equal(one["numbers"], two["numbers"]) and one["rows"].tolist() == [3, 1]


class Shifted(Numbers):
    """Items that are augmented: 100 is added to what `plain` gives."""

    def item(self, split: str, index: int, step: Step) -> Any:
        whole = super().item(split, index, step)
        return {**whole, "numbers": whole["numbers"] + 100}

    def plain(self) -> Numbers:
        return Numbers()


def visit_to(data: Any, batch: int) -> Any:
    from maskwright_torch.ranks import Ranks
    from maskwright_torch.visit import Visit

    return Visit(data, "train", prepare, Step(5), Compute(torch.device("cpu")), Ranks(), Path(), batch)


def test_items_of_a_visit_are_not_augmented():
    (seen,), (wanted,) = (list(visit_to(data, 4).batches([3, 1], 8)) for data in (Shifted(), Numbers()))
    assert torch.equal(seen["numbers"], wanted["numbers"])


@pytest.mark.parametrize(("batch", "first"), [(5, [0, 4, 8]), (8, [0, 3, 5, 8]), (20, list(range(10)))])
def test_a_visit_knows_where_epochs_begin(batch: int, first: list[int]):
    assert [number for number in range(10) if visit_to(Numbers(), batch).begins_epoch(number)] == first


def test_batches_may_hold_batches():
    inner = {"numbers": torch.ones(2, 3), "label": torch.ones(2, dtype=torch.int64)}
    put = Compute(torch.device("cpu"), "fp64").put({"rows": torch.arange(2), "inner": inner})
    assert put["inner"]["numbers"].dtype == torch.float64
    assert put["inner"]["label"].dtype == torch.int64


def test_the_usual_order_keeps_nothing_together():
    assert Order(Step(0), 20, 6).unit == 1
