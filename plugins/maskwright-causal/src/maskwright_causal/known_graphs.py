"""Graphs that come from files instead of a fit, usable wherever fitted graphs are."""

from collections.abc import Sequence
from pathlib import Path

import networkx as nx
import numpy as np

from maskwright.contracts import Dataset
from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_causal.graph_metrics import by_name, checked_truth
from maskwright_causal.truth_files import read_graph
from maskwright_causal.writers import export_npz, read_coef

COPY = "graphs.npz"
_SUFFIXES = (".graphml", ".csv", ".txt")


class KnownGraphs:
    """K acyclic graphs over the same variables, with one order that all obey.

    `coef_` (K, p, p), `noise_variance_` (K, p; NaN where a file does not say), `order_` names and `order_index_`
    columns with causes first, `graphs_`, `task_names_`.
    """

    def __init__(
        self, graphs: Sequence[nx.DiGraph] = (), tasks: Sequence[str] = (), where: str = "graphs"
    ) -> None:
        if graphs:
            self._take(graphs, tasks, where)

    def _take(self, graphs: Sequence[nx.DiGraph], tasks: Sequence[str], where: str) -> None:
        names = list(graphs[0].nodes)
        self.graphs_, self.task_names_ = list(graphs), list(tasks)
        matrices = []
        for task, graph in zip(tasks, graphs, strict=True):
            own = list(graph.nodes)
            matrix = by_name(nx.to_numpy_array(graph, nodelist=own), own, names, f"{where}, task {task}")
            matrices.append(checked_truth(matrix, names, f"{where}, task {task}"))
        self.coef_ = np.stack(matrices)
        union = nx.DiGraph()
        union.add_nodes_from(names)
        for graph in graphs:
            union.add_edges_from(graph.edges)
        if not nx.is_directed_acyclic_graph(union):
            cycle = [cause for cause, _ in nx.find_cycle(union)]
            raise UserError(
                f"the graphs share no order: together they have the cycle {' -> '.join([*cycle, cycle[0]])}",
                where=where,
                why="graphs of several tasks are compared, drawn and sampled along one common order",
                cure="use each graph alone",
            )
        self.order_ = list(nx.lexicographical_topological_sort(union, key=names.index))
        self.order_index_ = np.array([names.index(name) for name in self.order_])
        self.noise_variance_ = np.array(
            [[float(graph.nodes[name].get("noise_variance", np.nan)) for name in names] for graph in graphs]
        )

    @classmethod
    def read(cls, path: Path) -> "KnownGraphs":
        """From coef.npz, one graph file, or a folder with one graph file per task."""
        if not path.exists():
            raise UserError(f"there is no file or folder {path}", where="setting path", cure="check the path")
        if path.suffix.lower() == ".npz":
            graphs = read_coef(path)
            return cls(graphs, [graph.graph["name"] for graph in graphs], str(path))
        files = [path]
        if path.is_dir():
            files = sorted(file for file in path.iterdir() if file.suffix.lower() in _SUFFIXES)
            if not files:
                raise UserError(
                    f"the folder {path} holds no graph",
                    where="setting path",
                    cure=f"put one file for each task there: {', '.join(_SUFFIXES)}",
                )
        return cls([read_graph(file) for file in files], [file.stem for file in files], str(path))

    def fit(self, data: Dataset, step: Step) -> None:
        """Nothing to learn: the graphs are what they are."""
        if not hasattr(self, "coef_"):
            raise UserError("graph-file has no graphs", where="setting path", cure="set path=FILE")

    def save(self, folder: Path) -> None:
        export_npz(self.graphs_, folder / COPY)

    def load(self, folder: Path) -> None:
        graphs = read_coef(folder / COPY)
        self._take(graphs, [graph.graph["name"] for graph in graphs], str(folder))
