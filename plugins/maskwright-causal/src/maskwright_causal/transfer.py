"""What `maskwright export` and `maskwright import` call for graphs."""

from pathlib import Path
from typing import Any

from maskwright_causal import writers
from maskwright_causal.known_graphs import KnownGraphs
from maskwright_causal.params_parts import GraphFile


def to_graphml(part: Any, out: Path) -> None:
    writers.export_graphml(part.graphs_, out)


def to_gexf(part: Any, out: Path) -> None:
    writers.export_gexf(part.graphs_, out)


def to_dot(part: Any, out: Path) -> None:
    writers.export_dot(part.graphs_, out)


def to_csv(part: Any, out: Path) -> None:
    writers.export_csv(part.graphs_, out)


def to_npz(part: Any, out: Path) -> None:
    writers.export_npz(part.graphs_, out)


def from_graphs(path: Path) -> tuple[GraphFile, KnownGraphs]:
    """Graphs of another program; the run keeps a copy, so the settings name no file."""
    return GraphFile(path=None), KnownGraphs.read(path)
