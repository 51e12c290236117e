"""Settings of the data sets. Imports nothing heavy."""

from pathlib import Path
from typing import Any, Literal

from maskwright.params import params, setting, slot


@params
class Tasks:
    """Several data sets as tasks, each with a name; objective:meta gives each to the objective of that name."""

    sets: Any = slot("dataset", many=True, inherit=True, help='data sets, each with a name (as = "…")')

    def check(self):
        if not self.sets:
            yield "sets", "name at least one data set"

    def build(self, names: dict[str, list[str]]):
        from maskwright_meta.named_sets import NamedSets

        return NamedSets(dict(zip(names["sets"], self.sets, strict=True)))

    @classmethod
    def example(cls):
        return cls(sets=[TopicMaps.example()])


@params
class TopicMaps:
    """Generated: texts about topics, labelled by many tasks, each with a map of its own from topics to labels."""

    topics: int = setting(12, ge=2, help="topics of the texts")
    words: int = setting(120, ge=2, help="words there are")
    length: int = setting(10, ge=1, help="words of a text")
    sharpness: float = setting(1.5, ge=0, help="how unlike topics are; 0: not at all")
    classes: int = setting(4, ge=2, help="labels of a task")
    tasks: int = setting(2400, ge=1, help="tasks to train on")
    items: int = setting(256, ge=1, help="texts of each")
    test_tasks: int = setting(30, ge=1, help="tasks to judge by, others than those")
    test_items: int = setting(464, ge=1, help="texts of each: a few to learn from, the rest to judge")
    pool: int = setting(20000, ge=1, help="texts of a split; its tasks share them")
    labels: Literal["random", "same", "noise"] = setting(
        "random", help="random: each task has its own map; same: all have one; noise: labels mean nothing"
    )
    world: int = setting(0, ge=0, help="data sets of one world have the same topics, whatever their seed")

    def check(self):
        if self.classes > self.topics:
            yield "classes", f"{self.classes} labels for {self.topics} topics: some would have none"
        for name in ("items", "test_items"):
            if getattr(self, name) > self.pool:
                yield (
                    name,
                    f"a task of {getattr(self, name)} texts would hold some of the {self.pool} in pool twice",
                )

    def build(self, seed: int):
        from maskwright_meta.topic_maps import World, topic_maps

        world = World(self.topics, self.words, self.sharpness, self.world)
        sizes = {"train": (self.tasks, self.items), "test": (self.test_tasks, self.test_items)}
        return topic_maps(world, self.length, self.classes, sizes, self.pool, self.labels, seed)

    @classmethod
    def example(cls):
        return cls(
            topics=4, words=12, length=5, classes=2, tasks=3, items=8, test_tasks=2, test_items=8, pool=40
        )


@params
class Smlmt:
    """Which of N words was masked? Tasks made of any texts, without labels."""

    inner: Any = slot("dataset", needs={"text"}, help="where the texts come from")
    ways: int = setting(4, ge=2, help="words of a task, which are its classes")
    tasks: int = setting(60, ge=1, help="tasks to train on")
    test_tasks: int = setting(12, ge=1, help="tasks of the test split, with other words")
    texts: int = setting(64, ge=1, help="texts of each word, at most")
    fewest: int = setting(24, ge=1, help="texts of each word, at least")
    commonest: float = setting(0.05, gt=0, le=1, help="share of the texts that it may stand in")
    letters: int = setting(4, ge=1, help="letters that it must have")
    window: int = setting(24, ge=1, help="words that are kept on each side of the mask")
    mask: str = setting("[MASK]", help="what stands in place of the word: the mask token of the encoder")

    def build(self, seed: int):
        from maskwright_meta.smlmt import Asked, smlmt

        names = "ways texts fewest commonest letters window mask"
        asked = Asked(**{name: getattr(self, name) for name in names.split()})
        return smlmt(self.inner, asked, self.tasks, self.test_tasks, seed)

    @classmethod
    def example(cls):
        inner = TopicMaps(
            topics=4, words=12, length=5, classes=2, tasks=1, items=40, test_tasks=1, test_items=40
        )
        return cls(inner=inner, ways=2, tasks=2, test_tasks=1, fewest=2, commonest=1.0, letters=1)


@params
class TaskFiles:
    """Labelled sets as files of a folder, each a task: JSON lines, GLUE's TSV, SNLI and MultiNLI, CLOTH."""

    path: Path = setting(
        help="folder; NAME.jsonl, NAME.tsv and NAME.json are tasks, so are folders NAME/ with splits"
    )
    test_share: float = setting(
        0.2,
        ge=0,
        lt=1,
        help="share of a task without test file that is its test split, by a hash of the text",
    )

    def check(self):
        if not self.path.is_dir():
            yield "path", f"there is no folder {self.path}"

    def tags(self):
        from maskwright_meta.task_formats import has_pairs

        return {"other"} if has_pairs(self.path) else set()

    def build(self):
        from maskwright_meta.task_files import task_files

        return task_files(self.path, self.test_share)

    @classmethod
    def example(cls, folder):
        lines = [f'{{"text": "text {n}", "label": "{"odd" if n % 2 else "even"}"}}' for n in range(12)]
        (folder / "parity.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return cls(path=folder)
