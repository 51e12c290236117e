"""The contracts that need no tensors. Tensor contracts live with the tensors, in `maskwright_torch`."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import attrs

from maskwright.step import Step

if TYPE_CHECKING:
    from maskwright.runs import Run


@attrs.frozen
class Figure:
    """A finished picture. SVG is shown as an image, so nothing inside it can run."""

    name: str
    caption: str
    data: bytes = attrs.field(repr=False)
    media: Literal["image/svg+xml", "image/png"] = "image/svg+xml"

    @property
    def suffix(self) -> str:
        return ".svg" if self.media == "image/svg+xml" else ".png"


@attrs.frozen
class Findings:
    """What an evaluator found."""

    values: Mapping[str, float]
    """Metric name -> value; exactly the names that the evaluator declares."""
    rows: Sequence[Mapping[str, Any]] = ()
    """One entry for each item, with `id`: what a paired comparison pairs by."""
    tables: Mapping[str, Sequence[Mapping[str, Any]]] = attrs.field(factory=dict)
    """Title -> rows, for people."""
    figures: Callable[[], Iterable[Figure]] | None = None
    """Called only when pictures are wanted."""
    files: Mapping[str, bytes] = attrs.field(factory=dict)
    """File name -> content, kept under `artefacts/`."""
    notes: Sequence[str] = ()
    """Sentences for the report, e.g. why there are no pictures."""


@runtime_checkable
class Dataset(Protocol):
    """Raw data: text, pixels, tables. Never token ids: encoders turn raw fields into tensors."""

    def splits(self) -> tuple[str, ...]: ...

    def length(self, split: str) -> int: ...

    def item(self, split: str, index: int, step: Step) -> Mapping[str, Any]:
        """Item `index`: raw fields with `id`. `step` gives augmentation its stream."""

    def about(self, split: str) -> Mapping[str, Any]:
        """Class names, variable names, sample rate, licence, notices."""

    def fingerprint(self) -> str:
        """sha256 of the content; recorded with every run that uses the data."""

    # Optional: plain() -> Dataset, the same items without augmentation. Evaluators and fitted parts see those.


@runtime_checkable
class Evaluator(Protocol):
    """Judges a subject on data."""

    metrics: Mapping[str, Literal["max", "min"]]
    """What it reports, and which way is better; may hold a pattern such as `accuracy/*`."""

    def evaluate(self, subject: Any, data: Dataset, step: Step) -> Findings: ...


@runtime_checkable
class Pipeline(Protocol):
    """A part put to work: items in, the same items with new fields out.

    Optional: `read(argument)` yields items from a file, folder or text; `write(item, path)` saves one, or is None;
    `write_all(items, path)` saves them in one file and tells whether it knows the suffix.
    """

    def __call__(self, items: Iterable[Mapping[str, Any]], step: Step) -> Iterator[Mapping[str, Any]]: ...


@runtime_checkable
class Recipe(Protocol):
    """The root of a tree."""

    def run(self, run: "Run") -> None:
        """Do the work; continue from `run.latest()` where there is one."""


@runtime_checkable
class Fitted(Protocol):
    """A part that is fitted, not trained. Carries the tag `fitted`."""

    def fit(self, data: Dataset, step: Step) -> None: ...

    def save(self, folder: Path) -> None: ...

    def load(self, folder: Path) -> None: ...


@runtime_checkable
class Schedule(Protocol):
    """A number as a function of progress: masking ratio, sparsity, temperature, momentum or learning rate."""

    range: tuple[float, float]
    """No value lies outside."""

    def __call__(self, progress: float, u: float = 0.0) -> float:
        """Value at `progress` in [0, 1]; `u` in [0, 1) is the row's own draw, used by `per-row` schedules."""


def plain(data: Any) -> Any:
    """The data as it is judged and fitted on: without augmentation, which is for training."""
    return data.plain() if hasattr(data, "plain") else data


def items_of(data: Dataset, split: str, step: Step) -> Iterator[Mapping[str, Any]]:
    """All items of a split, in order."""
    for index in range(data.length(split)):
        yield data.item(split, index, step)
