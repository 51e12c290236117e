"""Which rows a step sees: a function of seed and step number, whoever makes the batch."""

from collections import Counter

import pytest
import torch
from toys import Numbers, prepare

from maskwright import Step, UserError
from maskwright_torch.batches import Batches, Order, cut, walk
from maskwright_torch.train import order_of, rows_of_batch

RUN = Step(seed=5, total=9)


def batches(count: int = 20, batch: int = 6, **settings: int) -> Batches:
    return Batches(Numbers(count), "train", prepare, Order(RUN.fork("data"), count, batch), RUN, **settings)


def rows(made: list[list[dict[str, torch.Tensor]]]) -> list[list[int]]:
    return [[int(row) for piece in pieces for row in piece["rows"]] for pieces in made]


def test_every_epoch_sees_every_item_once():
    order = Order(RUN, 20, 6)
    places = [place for number in range(20) for place in order.places(number)]
    assert Counter(places) == Counter((epoch, index) for epoch in range(6) for index in range(20))
    epochs = [[i for e, i in places if e == epoch] for epoch in range(6)]
    assert len({tuple(epoch) for epoch in epochs}) == 6, "each epoch has an order of its own"


def test_whole_units_hold_no_item_twice():
    """Of 10 items an epoch shows two units of 4; without `whole` the third would reach into the next epoch."""
    order = Order(RUN, 10, 8, unit=4, whole=True)
    places = [order.places(number) for number in range(4)]
    assert [{epoch for epoch, _ in batch} for batch in places] == [{0}, {1}, {2}, {3}]
    assert all(len(set(batch)) == 8 for batch in places)
    units = [
        batch[start : start + 4]
        for batch in (Order(RUN, 10, 12, 4, True).places(n) for n in range(4))
        for start in (0, 4, 8)
    ]
    assert all(len({epoch for epoch, _ in unit}) == 1 for unit in units)


class Drawing:
    """An objective that takes items as often as it likes."""

    def order(self, step, data, split, batch):
        return Order(step, data.length(split), batch)


class Said(list):
    say = list.append


def test_only_an_objective_takes_more_rows_than_there_are_items():
    for objective, rows, said in ((object(), 20, 1), (Drawing(), 48, 0)):
        order, log = order_of(objective, RUN, Numbers(20), "train", 48), Said()
        assert rows_of_batch(order, 48, 20, log) == len(order.places(0)) == rows
        assert len(log) == said
    assert rows_of_batch(order_of(object(), RUN, Numbers(20), "train", 6), 6, 20, log) == 6 and not log


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_workers_change_nothing(workers: int):
    wanted = [batches()[number] for number in range(9)]
    found = list(walk(batches(), 0, workers))
    assert len(found) == 9
    for one, two in zip(wanted, found, strict=True):
        assert all(torch.equal(one[0][name], two[0][name]) for name in one[0])


@pytest.mark.parametrize(("ranks", "pieces"), [(1, 2), (2, 1), (2, 3), (3, 2)])
def test_ranks_and_pieces_cut_the_same_batch(ranks: int, pieces: int):
    wanted = rows([batches()[number] for number in range(9)])
    parts = [batches(ranks=ranks, rank=rank, pieces=pieces) for rank in range(ranks)]
    found = [[row for part in parts for row in rows([part[number]])[0]] for number in range(9)]
    assert found == wanted
    assert all(len(part[0]) == pieces for part in parts)


def test_starting_later_gives_the_same_batches():
    whole = rows(list(walk(batches(), 0, 0)))
    assert rows(list(walk(batches(), 4, 2))) == whole[4:]
    assert list(walk(batches(), 9, 2)) == []


def test_augmentation_is_new_in_each_epoch_and_the_same_again():
    items = {}
    for number in range(9):
        for row, numbers in zip(batches()[number][0]["rows"], batches()[number][0]["numbers"], strict=True):
            items.setdefault(int(row), []).append(numbers.tolist())
    twice = [seen for seen in items.values() if len(seen) > 1]
    assert twice
    assert all(seen[0] != seen[1] for seen in twice)


@pytest.mark.parametrize("workers", [0, 2])
def test_errors_of_the_data_arrive_whole(workers: int):
    """A loader process would hand on the text of an error only; where, why and cure must survive."""
    with pytest.raises(UserError) as caught:
        list(walk(batches(count=14), 0, workers))
    assert str(caught.value).split("\n") == [
        "item 13 is broken",
        "  where: the file",
        "  why:   it is torn",
        "  do:    mend it",
    ]


class Killer(Numbers):
    def item(self, split, index, step):
        import os
        import signal

        from torch.utils.data import get_worker_info

        if get_worker_info() is not None and index == 7:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().item(split, index, step)


def test_a_killed_loader_process_ends_in_one_clear_error():
    made = Batches(Killer(), "train", prepare, Order(RUN.fork("data"), 20, 6), RUN)
    with pytest.raises(UserError, match="a loader process is gone") as caught:
        list(walk(made, 0, 2))
    assert "resume" in caught.value.cure


def test_cut():
    assert [len(piece) for piece in cut(list(range(7)), 3)] == [3, 2, 2]
    assert [item for piece in cut(list(range(7)), 3) for item in piece] == list(range(7))


def test_what_belongs_together_is_not_cut():
    assert cut(list(range(10)), 2, unit=2) == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9]]
