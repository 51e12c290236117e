"""Write graphs: GraphML, GEXF, DOT, adjacency CSV, npz.

Each `export_*` takes the graphs of all tasks and a place. One graph goes to `out` itself when `out` has the
format's suffix; otherwise `out` is a folder with one file per task, named after `graph.graph["name"]`. npz
holds all in one.
"""

import csv
import io
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import networkx as nx
import numpy as np

from maskwright.errors import UserError
from maskwright_causal.readers import open_npz


def export_graphml(graphs: Sequence[nx.DiGraph], out: Path) -> list[Path]:
    """GraphML, node ids are the variable names."""
    return _each(graphs, out, ".graphml", lambda graph: _xml(nx.generate_graphml(_plain(graph))))


def export_gexf(graphs: Sequence[nx.DiGraph], out: Path) -> list[Path]:
    """GEXF, for Gephi."""
    return _each(graphs, out, ".gexf", lambda graph: _xml(nx.generate_gexf(_plain(graph))))


def export_dot(graphs: Sequence[nx.DiGraph], out: Path, digits: int = 2) -> list[Path]:
    """DOT for Graphviz, weights as edge labels with so many digits; ours, as networkx needs pydot for it."""
    return _each(graphs, out, ".dot", lambda graph: _dot(graph, digits).encode())


def export_csv(graphs: Sequence[nx.DiGraph], out: Path) -> list[Path]:
    """Adjacency tables: row = cause, column = effect, entry = weight or 0."""
    return _each(graphs, out, ".csv", lambda graph: _adjacency(graph).encode())


def export_npz(graphs: Sequence[nx.DiGraph], out: Path) -> list[Path]:
    """One npz: `coef` (K, p, p), `noise_variance` (K, p; NaN where unknown), `variables`, `tasks`."""
    _same_nodes(graphs)
    names = list(graphs[0].nodes)
    buffer = io.BytesIO()
    np.savez(
        buffer,
        coef=np.stack([_matrix(graph, names) for graph in graphs]),
        noise_variance=np.array(
            [[float(graph.nodes[name].get("noise_variance", np.nan)) for name in names] for graph in graphs]
        ),
        variables=np.array(names, dtype=str),
        tasks=np.array(_names(graphs), dtype=str),
    )
    path = out if out.suffix == ".npz" else out / "coef.npz"
    write_whole(path, buffer.getvalue())
    return [path]


def read_coef(path: Path) -> list[nx.DiGraph]:
    """The graphs that `export_npz` wrote."""
    arrays = open_npz(path)
    missing = {"coef", "variables", "tasks"} - arrays.keys()
    if missing:
        raise UserError(
            f"{path.name} lacks {', '.join(sorted(missing))}", where=str(path), cure="export it again"
        )
    names = [str(name) for name in arrays["variables"]]
    graphs = []
    for number, (task, weights) in enumerate(zip(arrays["tasks"], arrays["coef"], strict=True)):
        graph = nx.relabel_nodes(
            nx.from_numpy_array(weights, create_using=nx.DiGraph), dict(enumerate(names))
        )
        graph.graph["name"] = str(task)
        noise = arrays.get("noise_variance")
        if noise is not None and np.isfinite(noise[number]).all():
            nx.set_node_attributes(
                graph, dict(zip(names, noise[number].tolist(), strict=True)), "noise_variance"
            )
        graphs.append(graph)
    return graphs


EXPORTS: dict[str, Callable[..., list[Path]]] = {
    "graphml": export_graphml,
    "gexf": export_gexf,
    "dot": export_dot,
    "csv": export_csv,
    "npz": export_npz,
}


def _each(
    graphs: Sequence[nx.DiGraph], out: Path, suffix: str, content: Callable[[nx.DiGraph], bytes]
) -> list[Path]:
    out = Path(out)
    if out.suffix == suffix:
        if len(graphs) != 1:
            raise UserError(
                f"{len(graphs)} graphs do not fit into one file {out.name}",
                where="--out",
                cure="give a folder: it gets one file for each task",
            )
        paths = [out]
    else:
        paths = [out / f"{_file_name(name)}{suffix}" for name in _names(graphs)]
    for graph, path in zip(graphs, paths, strict=True):
        write_whole(path, content(graph))
    return paths


def _names(graphs: Sequence[nx.DiGraph]) -> list[str]:
    names = [str(graph.graph.get("name") or f"task-{number:02d}") for number, graph in enumerate(graphs)]
    if len(set(map(_file_name, names))) != len(names):
        return [f"{number:02d}-{name}" for number, name in enumerate(names)]
    return names


def _file_name(name: str) -> str:
    """A task name as a file name: what a path or a shell could misread becomes a dash."""
    safe = "".join(letter if letter.isalnum() or letter in "._+-" else "-" for letter in name)
    return safe.lstrip(".") or "task"


def _same_nodes(graphs: Sequence[nx.DiGraph]) -> None:
    for graph in graphs[1:]:
        if list(graph.nodes) != list(graphs[0].nodes):
            raise UserError(
                "the graphs have different nodes", where="export npz", cure="export one at a time"
            )


def _plain(graph: nx.DiGraph) -> nx.DiGraph:
    """A copy with plain Python numbers: networkx refuses numpy's in XML."""
    copy = nx.DiGraph(name=str(graph.graph.get("name", "")))
    for node, data in graph.nodes(data=True):
        copy.add_node(str(node), **{key: _number(value) for key, value in data.items()})
    for cause, effect, data in graph.edges(data=True):
        copy.add_edge(str(cause), str(effect), **{key: _number(value) for key, value in data.items()})
    return copy


def _number(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value


def _xml(lines: Iterable[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()


def _dot(graph: nx.DiGraph, digits: int) -> str:
    lines = [f"digraph {_quoted(graph.graph.get('name') or 'graph')} {{", "  rankdir=TB;"]
    lines += [f"  {_quoted(node)};" for node in graph.nodes]
    for cause, effect, weight in graph.edges(data="weight"):
        label = "" if weight is None else f" [label={_quoted(f'{weight:.{digits}f}')}]"
        lines.append(f"  {_quoted(cause)} -> {_quoted(effect)}{label};")
    return "\n".join([*lines, "}", ""])


def _quoted(name: object) -> str:
    text = str(name).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"'


def _matrix(graph: nx.DiGraph, names: Sequence[str]) -> np.ndarray:
    return nx.to_numpy_array(graph, nodelist=names, weight="weight")


def _adjacency(graph: nx.DiGraph) -> str:
    names = list(graph.nodes)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["", *names])
    for name, row in zip(names, _matrix(graph, names), strict=True):
        # repr keeps every digit, so that reading back gives the same float.
        writer.writerow([name, *(repr(float(value)) for value in row)])
    return text.getvalue()


def write_whole(path: Path, content: bytes) -> None:
    """Write so that a reader, or a kill, sees the old file or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def table_csv(samples: np.ndarray, variables: Sequence[str]) -> str:
    """Rows (n, p) as CSV text with a header; every digit is kept."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(variables)
    writer.writerows([[repr(float(value)) for value in row] for row in samples])
    return text.getvalue()
