"""Read true graphs: GraphML, Tetrad text, CSV (adjacency or list of edges), npz."""

from collections.abc import Sequence
from pathlib import Path

import networkx as nx
import numpy as np

from maskwright.errors import UserError
from maskwright_causal.graph_metrics import by_name, checked_truth
from maskwright_causal.readers import open_npz
from maskwright_causal.tetrad import read_tetrad_graph
from maskwright_causal.text_files import cells_of, text_of


def read_truth(path: Path, variables: Sequence[str], tasks: Sequence[str] = ()) -> np.ndarray:
    """True weights (p, p) for all tasks, or (K, p, p): a folder or npz may hold one graph for each task.

    Edges without a weight count 1. In a folder the file of a task is called like the task.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"there is no truth file {path}", where="setting truth", cure="check the path")
    if path.is_dir():
        return np.stack([_one(_file_of(path, task), variables) for task in tasks])
    if path.suffix.lower() == ".npz":
        return _from_npz(path, variables, tasks)
    return _one(path, variables)


def _file_of(folder: Path, task: str) -> Path:
    found = [file for file in sorted(folder.iterdir()) if file.stem == task]
    if not found:
        raise UserError(
            f"the folder {folder} has no graph for task {task}",
            where="setting truth",
            cure=f"call the file {task}.graphml (or .txt, .csv)",
        )
    return found[0]


def _one(path: Path, variables: Sequence[str]) -> np.ndarray:
    graph = read_graph(path)
    names = list(graph.nodes)
    matrix = nx.to_numpy_array(graph, nodelist=names) if names else np.zeros((0, 0))
    matrix = by_name(matrix, names, variables, str(path))
    return checked_truth(matrix, variables, str(path))


def _from_npz(path: Path, variables: Sequence[str], tasks: Sequence[str]) -> np.ndarray:
    arrays = open_npz(path)
    key = next((name for name in ("truth", "coef") if name in arrays), None)
    if key is None:
        raise UserError(f"{path.name} has no array called truth or coef", where=str(path), cure="store one")
    graphs = arrays[key] if arrays[key].ndim == 3 else arrays[key][None]
    names = [str(name) for name in arrays.get("variables", variables)]
    if len(graphs) not in (1, len(tasks)):
        raise UserError(
            f"{path.name} holds {len(graphs)} graphs for {len(tasks)} tasks",
            where=str(path),
            cure="one, or all",
        )
    checked = [
        checked_truth(by_name(graph, names, variables, str(path)), variables, str(path)) for graph in graphs
    ]
    return checked[0] if len(checked) == 1 else np.stack(checked)


def read_graph(path: Path) -> nx.DiGraph:
    """One directed graph with names as nodes and, where given, `weight` on edges."""
    suffix = path.suffix.lower()
    if suffix == ".graphml":
        return read_graphml(path)
    if suffix == ".csv":
        return _read_csv(path)
    if suffix == ".txt":
        nodes, edges = read_tetrad_graph(path)
        graph = nx.DiGraph()
        graph.add_nodes_from(nodes)
        graph.add_edges_from(edges)
        return graph
    raise UserError(
        f"{path.name}: no reader for graphs in {suffix or 'files without a suffix'}",
        where=str(path),
        cure="use .graphml, .txt (Tetrad), .csv or .npz",
    )


def read_graphml(path: Path) -> nx.DiGraph:
    """GraphML by networkx. A document type is refused: entities in it can expand without bound."""
    content = path.read_bytes()
    # Entities can be declared inside a document type only; in UTF-16 the mark would be spelt differently.
    if b"<!doctype" in content.lower() or content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise UserError(
            f"{path.name} declares a document type or is not UTF-8",
            where=str(path),
            why="GraphML needs no document type, and entities in one can fill the memory",
            cure="save it as UTF-8 without the <!DOCTYPE ...> line",
        )
    try:
        graph = nx.parse_graphml(content.decode("utf-8-sig"))
    except (
        Exception
    ) as error:  # networkx and the XML parser raise many kinds; each means the same to the user
        raise UserError(
            f"{path.name} is no GraphML: {error}", where=str(path), cure="save it again"
        ) from None
    if not graph.is_directed() or graph.is_multigraph():
        raise UserError(
            f"{path.name} is not a simple directed graph", where=str(path), cure="direct all edges"
        )
    labels = nx.get_node_attributes(graph, "name") or nx.get_node_attributes(graph, "label")
    return nx.relabel_nodes(graph, labels) if len(labels) == len(graph) else graph


def _read_csv(path: Path) -> nx.DiGraph:
    """An adjacency table (first column and header: names) or a list of edges (columns: cause, effect[, weight])."""
    rows = [row for row in cells_of(text_of(path), ",", path) if row]
    if not rows:
        raise UserError(
            f"{path.name} is empty", where=str(path), cure="give an adjacency table or a list of edges"
        )
    graph = nx.DiGraph()
    header = [cell.lower() for cell in rows[0]]
    if header[:2] in (["cause", "effect"], ["from", "to"], ["source", "target"]):
        for line, row in enumerate(rows[1:], start=2):
            graph.add_edge(row[0], row[1], weight=_weight(row[2], path, line) if len(row) > 2 else 1.0)
        return graph
    names = rows[0][1:]
    if [row[0] for row in rows[1:]] != names or any(len(row) != len(rows[0]) for row in rows):
        raise UserError(
            f"{path.name} is neither an adjacency table nor a list of edges",
            where=str(path),
            cure="adjacency: the same names in the header and the first column; edges: header cause,effect,weight",
        )
    graph.add_nodes_from(names)
    for line, row in enumerate(rows[1:], start=2):
        for effect, cell in zip(names, row[1:], strict=True):
            weight = _weight(cell or "0", path, line)
            if weight:
                graph.add_edge(row[0], effect, weight=weight)
    return graph


def _weight(cell: str, path: Path, line: int) -> float:
    try:
        return float(cell)
    except ValueError:
        raise UserError(
            f'"{cell}" is no weight', where=f"{path}, line {line}", cure="write a number"
        ) from None
