"""Every hook of Maskwright: nine declare components, four watch runs. `docs/hooks.md` shows each in use.

Declaring hooks return an iterable of `Component` and must not import anything heavy: `maskwright list`
calls all of them. Watching hooks are called on one process only, one implementation at a time; what they
return is ignored, and one that raises is reported once and not called again in that run.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

from maskwright.component import Component

if TYPE_CHECKING:
    from maskwright.runs import RunInfo

PROJECT = "maskwright"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def maskwright_maskers() -> Iterable[Component]:
    """Declare maskers: given units and a ratio, which units to hide."""


@hookspec
def maskwright_encoders() -> Iterable[Component]:
    """Declare encoders: raw data in, states and a pooled vector (or a fitted model) out."""


@hookspec
def maskwright_objectives() -> Iterable[Component]:
    """Declare objectives: a batch and a step in, a loss out."""


@hookspec
def maskwright_evaluators() -> Iterable[Component]:
    """Declare evaluators: a subject and a data set in, findings out."""


@hookspec
def maskwright_datasets() -> Iterable[Component]:
    """Declare data sets of raw fields."""


@hookspec
def maskwright_codecs() -> Iterable[Component]:
    """Declare codecs: tokenizers, audio codecs."""


@hookspec
def maskwright_schedules() -> Iterable[Component]:
    """Declare schedules: a number as a function of progress."""


@hookspec
def maskwright_pipelines() -> Iterable[Component]:
    """Declare pipelines: items in, items out."""


@hookspec
def maskwright_recipes() -> Iterable[Component]:
    """Declare recipes. `params` may name a shipped file: `"maskwright_causal:recipes/joint-dag.toml"`."""


@hookspec
def maskwright_run_started(run: "RunInfo") -> None:
    """A run begins, or goes on after an interruption (then `run.resumed_at` is its step)."""


@hookspec
def maskwright_metrics(run: "RunInfo", step: int, values: Mapping[str, float]) -> None:
    """Metrics were logged after `step` finished steps."""


@hookspec
def maskwright_checkpoint_saved(run: "RunInfo", step: int, path: Path) -> None:
    """A complete checkpoint lies at `path`."""


@hookspec
def maskwright_run_finished(run: "RunInfo", status: str, error: str | None) -> None:
    """A run ended: `status` is `finished`, `failed` or `interrupted`."""
