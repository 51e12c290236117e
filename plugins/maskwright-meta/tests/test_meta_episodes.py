"""Which tasks and items make up episodes: how likely, in which layout, and what cannot be laid out."""

from collections import Counter
from typing import Any

import pytest
import torch
from meta_cases import STEP, bag, batch_of, classifier, items, meta

from maskwright import Step
from maskwright_meta.episode_order import EpisodeOrder, class_counts, episode_order, tasks_in
from maskwright_meta.layout import Layout
from maskwright_meta.named_sets import NamedSets
from maskwright_meta.sampling import TaskSampler
from maskwright_testing import assert_one_error
from maskwright_testing.listed_data import ListedData
from maskwright_torch.batches import cut
from maskwright_torch.noise import uniform

SIZES = {"small": 16, "large": 256}


def draws(count: int) -> list[float]:
    return uniform(7, torch.arange(count), 1)[:, 0].tolist()


@pytest.mark.parametrize(
    ("sampling", "power", "share"),
    [("size-power", 0.75, 1 / 9), ("size-power", 0.0, 0.5), ("uniform", 0.75, 0.5), ("weighted", 0.75, 0.25)],
)
def test_tasks_are_as_likely_as_the_setting_says(sampling: str, power: float, share: float):
    weights = {"small": 1.0, "large": 3.0} if sampling == "weighted" else {}
    sampler = TaskSampler.of(sampling, SIZES, power, weights)
    drawn = [sampler.draw(u, 0) for u in draws(4000)]
    assert sampler.chances[0] == pytest.approx(share)
    assert drawn.count(0) / 4000 == pytest.approx(share, abs=0.02)


def test_tasks_take_turns():
    sampler = TaskSampler.of("round-robin", {"a": 1, "b": 9, "c": 1}, 0.75, {})
    assert [sampler.draw(0.5, turn) for turn in range(6)] == [0, 1, 2, 0, 1, 2]
    assert sampler.episode("mixed", 2, [0.1, 0.2, 0.3], 1) == [1, 2, 0]


@pytest.mark.parametrize(("tasks", "depth"), [(2, 1), (3, 2), (4, 1), (3, 1)])
def test_in_turn_every_task_comes_to_every_place(tasks: int, depth: int):
    """Whatever the number of chunks: it may divide that of tasks."""
    sampler = TaskSampler.of("round-robin", {str(n): 1 for n in range(tasks)}, 1.0, {})
    found = [sampler.episode("mixed", depth, [0.5] * (depth + 1), turn) for turn in range(tasks)]
    assert all({episode[place] for episode in found} == set(range(tasks)) for place in range(depth + 1))


def test_in_turn_a_held_out_task_follows_every_other():
    sampler = TaskSampler.of("round-robin", dict.fromkeys("abc", 1), 1.0, {})
    found = [sampler.episode("held-out", 2, [0.5] * 3, turn) for turn in range(6)]
    assert {(episode[0], episode[-1]) for episode in found} == {
        (0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)
    }  # fmt: skip


def test_the_same_task_all_through_an_episode():
    sampler = TaskSampler.of("uniform", dict.fromkeys("abcd", 1), 1.0, {})
    found = [sampler.episode("same", 3, draws(40)[4 * n : 4 * n + 4], n) for n in range(10)]
    assert all(len(episode) == 4 and len(set(episode)) == 1 for episode in found)
    assert len({episode[0] for episode in found}) > 1


def test_mixed_episodes_draw_every_chunk():
    sampler = TaskSampler.of("uniform", dict.fromkeys("abcd", 1), 1.0, {})
    found = [sampler.episode("mixed", 3, draws(400)[4 * n : 4 * n + 4], n) for n in range(100)]
    assert Counter(len(set(episode)) for episode in found).keys() >= {2, 3, 4}


@pytest.mark.parametrize("sampling", ["uniform", "round-robin"])
def test_a_held_out_task_is_in_no_inner_step(sampling: str):
    sampler = TaskSampler.of(sampling, dict.fromkeys("abc", 1), 1.0, {})
    found = [sampler.episode("held-out", 3, draws(400)[4 * n : 4 * n + 4], n) for n in range(100)]
    assert all(episode[-1] not in episode[:-1] for episode in found)
    assert {episode[-1] for episode in found} == {0, 1, 2}


def order(batch: int = 16, episode: str = "same", replacement: bool = False, **tasks: int) -> EpisodeOrder:
    places, first = {}, 0
    for name, count in (tasks or {"a": 20, "b": 30}).items():
        places[name.replace("__", "/")] = first, count
        first += count
    families = {name.partition("/")[0] for name in places}
    sampler = TaskSampler.of("uniform", dict.fromkeys(sorted(families), 1), 1.0, {})
    return episode_order(Step(5), places, sampler, Layout(2, 1), episode, batch, replacement)


def test_an_episode_holds_items_of_its_tasks_once_each():
    made = order()
    assert made.unit == 8
    for number in range(20):
        places = made.places(number)
        assert {epoch for epoch, _ in places} == {number} and len(places) == 16
        for start in (0, 8):
            rows = [index for _, index in places[start : start + 8]]
            assert len(set(rows)) == 8
            assert all(row < 20 for row in rows) or all(20 <= row < 50 for row in rows)
    assert made.places(3) == order().places(3)
    assert made.places(3) != made.places(4)


def test_a_family_is_drawn_before_its_tasks():
    """Forty tasks of one family and one of another are as likely as two families are."""
    made = order(lone=40, **{f"many__{n}": 40 for n in range(40)})
    rows = [index for number in range(100) for _, index in made.places(number)[::8]]
    assert sum(row < 40 for row in rows) / len(rows) == pytest.approx(0.5, abs=0.1)


def test_the_same_task_is_one_of_the_family():
    made = order(**{f"many__{n}": 40 for n in range(40)})
    for number in range(20):
        rows = [index for _, index in made.places(number)]
        assert all(len({row // 40 for row in rows[start : start + 8]}) == 1 for start in (0, 8))
    mixed = order(episode="mixed", **{f"many__{n}": 40 for n in range(40)})
    assert len({index // 40 for _, index in mixed.places(0)}) > 2


def test_pieces_hold_whole_episodes():
    made = order()
    assert [len(piece) for piece in cut(made.places(0), 2, made.unit)] == [8, 8]


def test_batches_that_cannot_be_cut_name_the_nearest():
    assert_one_error(
        lambda: order(batch=18),
        "a batch of 18 rows cannot be cut into 2 episodes of 2 equal chunks",
        "batch=16 or 20",
    )
    assert_one_error(lambda: Layout(4, 3).rows_of_chunk(7), "4 × (3 + 1) = 16 chunks", "batch=16,")


def test_tasks_that_are_too_small_are_named():
    assert_one_error(
        lambda: order(a=7, b=30),
        "too few items in a (7)", "an episode may take 8 items of one task, none twice", "objective.replacement=true",
    )  # fmt: skip
    rows = [index for _, index in order(a=7, b=7, replacement=True).places(0)]
    assert len(rows) == 16
    assert_one_error(
        lambda: order(a=0, b=9, replacement=True), "too few items in a (0)", "leave empty tasks out"
    )


def test_one_task_has_none_to_hold_out():
    assert_one_error(lambda: order(episode="held-out", a=20), "there is one task only", 'episode = "same"')
    single = meta({"only": classifier(bag())}, kind="held-out")
    assert_one_error(
        lambda: single.order(STEP, ListedData({"train": items(9)}), "train", 8), "there is one task only"
    )


def test_a_task_that_is_never_drawn_is_none_to_hold_out_from():
    weights = {"sampling": "weighted", "weights": {"a": 1.0, "b": 0.0}}
    objective = meta(kind="held-out", **weights)
    told = ListedData({"train": [*items(9, "a"), *items(9, "b")]}, {"tasks": {"a": [0, 9], "b": [9, 9]}})
    for data in (told, ListedData({"train": items(18)})):
        assert_one_error(
            lambda data=data: objective.order(STEP, data, "train", 8),
            "there is one task only", "a task of weight 0 is never drawn",
        )  # fmt: skip
    sampler = TaskSampler.of("weighted", dict.fromkeys("abc", 1), 1.0, {"a": 1.0, "b": 1.0, "c": 0.0})
    found = [sampler.episode("held-out", 1, [u, 1 - u], 0) for u in draws(100)]
    assert {tuple(episode) for episode in found} == {(0, 1), (1, 0)}


def test_weights_of_one_objective_on_plain_data_are_looked_at():
    single = meta({"only": classifier(bag())}, sampling="weighted", weights={"other": 1.0})
    assert_one_error(
        lambda: single.order(STEP, ListedData({"train": items(9)}), "train", 8),
        'a task "other" that there is not',
    )


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"a": 1.0}, ("no weight for b", "weights.b=1")),
        ({"a": 1.0, "b": 1.0, "aa": 1.0}, ('a task "aa" that there is not', 'did you mean "a"?')),
        ({"a": 0.0, "b": 0.0}, ("all weights are 0",)),
    ],
)
def test_weights_that_do_not_fit_are_named(weights: dict[str, float], said: tuple[str, ...]):
    assert_one_error(lambda: meta(depth=0.0, sampling="weighted", weights=weights), *said)


def test_names_of_data_and_objectives_have_to_match():
    data = ListedData({"train": items(9)}, {"tasks": {"a": [0, 4], "bee": [4, 5]}})
    assert_one_error(
        lambda: meta(replacement=True).order(STEP, data, "train", 8),
        "no objective for the data bee; no data for the objective b", "objectives: a, b; data: a, bee",
    )  # fmt: skip


def test_an_item_of_an_unknown_task_is_named():
    assert_one_error(
        lambda: batch_of(meta(depth=0.0), items(4, "c")), 'the item "c0" belongs to the task "c"', "a, b"
    )


def test_data_that_lost_items_do_not_know_their_tasks():
    data = ListedData({"train": items(9)}, {"tasks": {"a": [0, 4], "b": [4, 50]}})
    assert_one_error(
        lambda: tasks_in(data, "train"),
        'the data has 9 items in "train", and says that its tasks have 54',
        "dataset:subset",
    )


def test_rows_without_task_are_given_to_one_by_chunk():
    """By the first item of the chunk and the step: a piece of a batch gives the same as the whole."""
    objective = meta(depth=1.0, layout=(4, 1))
    objective.order(STEP, ListedData({"train": items(40)}), "train", 32)
    rows = items(32)
    whole = objective.prepare(rows, STEP)["task"]
    halves = [objective.prepare(rows[part], STEP)["task"] for part in (slice(16), slice(16, 32))]
    assert torch.equal(whole, torch.cat(halves))
    assert all(len(set(chunk.tolist())) == 1 for chunk in whole.split(4))
    assert set(whole.tolist()) == {0, 1}
    other = [objective.prepare(rows, STEP.at(n))["task"].tolist() for n in range(5)]
    assert len({tuple(tasks) for tasks in other}) > 1


def test_an_episode_of_plain_data_holds_no_item_twice():
    """Ten items make two episodes of four; the next begins with another walk through them all."""
    objective = meta({"only": classifier(bag())}, 1.0, layout=(1, 1))
    made = objective.order(STEP, ListedData({"train": items(10)}), "train", 4)
    batches = [made.places(number) for number in range(6)]
    assert [{epoch for epoch, _ in batch} for batch in batches] == [{0}, {0}, {1}, {1}, {2}, {2}]
    assert all(len({index for _, index in batch}) == 4 for batch in batches)
    walks = [[index for batch in batches[n : n + 2] for _, index in batch] for n in (0, 2, 4)]
    assert all(len(set(walk)) == 8 for walk in walks)
    assert {index for walk in walks for index in walk} == set(range(10)), "what is left over changes"


@pytest.mark.parametrize("tasks", [("a", "b"), ("only",)])
def test_tasks_that_only_items_name_are_refused(tasks: tuple[str, ...]):
    """A chunk of the walk would mix them, and one inner step be made on several tasks."""
    data = ListedData({"train": [*items(9, tasks[0]), *items(9, tasks[-1])]})
    objectives = {name: classifier(bag()) for name in tasks}
    assert_one_error(
        lambda: meta(objectives, 1.0).order(STEP, data, "train", 8),
        "items name their task, and the data do not say where each task is",
        'about(split)["tasks"]', "dataset:tasks",
    )  # fmt: skip
    assert meta(objectives, 0.0).order(STEP, data, "train", 8).batch == 8


def test_plain_data_and_one_objective_at_depth_zero_keep_the_usual_order():
    single = meta({"only": classifier(bag())}, 0.0, layout=(3, 0))
    made = single.order(STEP, ListedData({"train": items(10)}), "train", 4)
    assert made.unit == 1 and sorted(i for n in range(5) for _, i in made.places(n)) == sorted(
        [*range(10)] * 2
    )


def test_plain_data_that_fill_no_episode_are_refused():
    objective = meta({"only": classifier(bag())}, 1.0, layout=(2, 1))
    assert_one_error(
        lambda: objective.order(STEP, ListedData({"train": items(7)}), "train", 16),
        "the data has 7 items, and an episode takes 8", "no item twice",
    )  # fmt: skip
    made = objective.order(STEP, ListedData({"train": items(8)}), "train", 16)
    assert len(made.places(0)) == 16, "two episodes, each of all items"


def test_unlike_numbers_of_classes_under_one_head_are_told_of():
    about = {"tasks": {"x": [0, 8], "y": [8, 8]}, "classes_of": {"x": ["n", "y"], "y": ["a", "b", "c"]}}
    data = ListedData({"train": [*items(8, "x"), *items(8, "y")]}, about)
    said = "tasks of 2, 3 classes share the head of only"

    def notices(data: ListedData, **changes: Any) -> list[str]:
        objective = meta({"only": classifier(bag())}, 1.0, **changes)
        objective.order(STEP, data, "train", 8)
        return [notice for notice in objective.notices if said in notice]

    assert len(notices(data)) == 1
    assert notices(data, kind="same", adaptation={"prototypes": True}) == []
    alike = {**about, "classes_of": {"x": ["n", "y"], "y": ["a", "b"]}}
    assert notices(ListedData({"train": [*items(8, "x"), *items(8, "y")]}, alike)) == []


def test_heads_that_families_share_are_told_of():
    """Sets of a data set of sets; a set with tasks of its own is one family."""
    files = ListedData(
        {"train": [*items(8, "x"), *items(8, "y")]},
        {"tasks": {"x": [0, 8], "y": [8, 8]}, "classes_of": {"x": ["n", "y"], "y": ["a", "b", "c"]}},
    )
    plain = ListedData({"train": items(8)}, {"classes": ["a", "b", "c", "d"]})
    data = NamedSets({"a": files, "b": plain})
    assert class_counts(data.about("train")) == {"a/x": 2, "a/y": 3, "b": 4}
    objective = meta(depth=0.0)
    objective.order(STEP, data, "train", 8)
    (notice,) = objective.notices
    assert notice.startswith(
        "tasks of 2, 3 classes share the head of a, so that a class means something else"
    )
