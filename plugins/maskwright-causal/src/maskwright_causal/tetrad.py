"""Tetrad's text files: graphs, background knowledge, covariances."""

import re
from collections.abc import Collection, Sequence
from pathlib import Path

import attrs
import numpy as np

from maskwright.errors import UserError
from maskwright_causal.text_files import text_of

_EDGE = re.compile(r"^\d+\.\s+(\S+)\s+(\S+)\s+(\S+)")


def read_tetrad_graph(path: Path) -> tuple[tuple[str, ...], list[tuple[str, str]]]:
    """Node names and directed edges of a graph file: `Graph Nodes:`, a `;` list, `Graph Edges:`, `1. a --> b`."""
    lines = text_of(path).splitlines()
    nodes: tuple[str, ...] | None = None
    edges: list[tuple[str, str]] = []
    section = ""
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if text.lower() in ("graph nodes:", "graph edges:"):
            section = text.lower()
        elif section == "graph nodes:" and text and nodes is None:
            nodes = tuple(name.strip() for name in re.split("[;,]", text) if name.strip())
        elif section == "graph edges:" and text:
            edge = _EDGE.match(text)
            if edge is None:
                break  # attributes follow the edges
            edges.append(_directed(edge, nodes or (), path, number))
    if nodes is None:
        raise UserError(
            f"{path.name} lists no nodes",
            where=str(path),
            cure='a graph file has a line "Graph Nodes:", then the names with ";" between them',
        )
    return nodes, edges


def _directed(edge: re.Match[str], nodes: Sequence[str], path: Path, number: int) -> tuple[str, str]:
    first, mark, second = edge.groups()
    where = f"{path}, line {number}"
    if mark not in ("-->", "<--"):
        raise UserError(
            f"the edge {first} {mark} {second} has no single direction",
            where=where,
            why="undirected, circle and double-headed edges describe a class of graphs, not one acyclic graph",
            cure="give a graph whose edges are all -->",
        )
    for name in (first, second):
        if name not in nodes:
            raise UserError(
                f'the edge names "{name}", which is no node', where=where, cure="list it as a node"
            )
    return (first, second) if mark == "-->" else (second, first)


@attrs.frozen
class KnowledgeFile:
    """What a knowledge file says, by name."""

    tiers: tuple[tuple[str, ...], ...] = ()
    """Nothing in a later tier causes anything in an earlier one."""
    forbidden: tuple[tuple[str, str], ...] = ()
    required: tuple[tuple[str, str], ...] = ()

    def about(self, variables: Collection[str]) -> "KnowledgeFile":
        """Only what concerns these variables: one file may serve several tables."""
        return KnowledgeFile(
            tuple(tuple(name for name in tier if name in variables) for tier in self.tiers),
            tuple(edge for edge in self.forbidden if edge[0] in variables and edge[1] in variables),
            tuple(edge for edge in self.required if edge[0] in variables and edge[1] in variables),
        )


def read_knowledge_file(path: Path) -> KnowledgeFile:
    """A knowledge file: `/knowledge`, then the sections addtemporal, forbiddirect, requiredirect."""
    tiers: list[tuple[str, ...]] = []
    edges: dict[str, list[tuple[str, str]]] = {"forbiddirect": [], "requiredirect": []}
    section, started = "", False
    for number, line in enumerate(text_of(path).splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        word = words[0].lower()
        if not started:
            if word != "/knowledge":
                break
            started = True
        elif word in ("addtemporal", "forbiddirect", "requiredirect"):
            section = word
        elif section == "addtemporal":
            # "2* a b": the star also forbids edges inside the tier.
            names = tuple(words[1:])
            tiers.append(names)
            if word.endswith("*"):
                edges["forbiddirect"] += [(a, b) for a in names for b in names if a != b]
        elif section and len(words) == 2:
            edges[section].append((words[0], words[1]))
        else:
            raise UserError(
                f'"{line.strip()}" is not a pair of names',
                where=f"{path}, line {number}",
                cure="write cause and effect, with a blank between them, under forbiddirect or requiredirect",
            )
    if not started:
        raise UserError(
            f'{path.name} does not start with "/knowledge"', where=str(path), cure="add that line"
        )
    both = set(edges["forbiddirect"]) & set(edges["requiredirect"])
    if both:
        cause, effect = sorted(both)[0]
        raise UserError(
            f"{cause} -> {effect} is both forbidden and required",
            where=str(path),
            cure="remove one of the two",
        )
    return KnowledgeFile(tuple(tiers), tuple(edges["forbiddirect"]), tuple(edges["requiredirect"]))


# ---- covariances


def looks_like_covariance(path: Path) -> bool:
    """Whether the first line says so."""
    with open(path, "rb") as file:
        return file.readline(80).strip().lower().startswith((b"/covariance", b"/correlation"))


def read_covariance(path: Path) -> tuple[int, tuple[str, ...], np.ndarray]:
    """Rows behind it, names, and the (p, p) matrix of a file: `/covariance`, n, names, lower triangle."""
    lines = [line.split() for line in text_of(path).splitlines() if line.strip()]
    try:
        rows, names = int(lines[1][0]), tuple(lines[2])
        triangle = [[float(word) for word in line] for line in lines[3 : 3 + len(names)]]
    except (IndexError, ValueError) as error:
        raise UserError(
            f"{path.name} is not a covariance file: {error}",
            where=str(path),
            cure="lines: /covariance, number of rows, names, then the lower triangle row by row",
        ) from None
    matrix = np.zeros((len(names), len(names)))
    for row in range(len(names)):
        if row >= len(triangle) or len(triangle[row]) != row + 1:
            raise UserError(
                f"row {row + 1} of the triangle must have {row + 1} numbers",
                where=f"{path}, line {row + 4}",
                cure="write the lower triangle with its diagonal",
            )
        matrix[row, : row + 1] = matrix[: row + 1, row] = triangle[row]
    return rows, names, matrix


def rows_with_covariance(covariance: np.ndarray, rows: int, path: Path) -> np.ndarray:
    """(rows, p) centred numbers whose sample covariance (divisor rows - 1) is exactly `covariance`.

    Fits need only covariances, so any such rows give the fit that the lost data would have given. The rows
    are cosines (orthogonal, mean 0) mixed by the matrix's square root; they say nothing beyond second
    moments.
    """
    values, vectors = np.linalg.eigh(covariance)
    if values[0] < -1e-8 * max(values[-1], 1e-300):
        raise UserError(
            f"the matrix in {path.name} is not a covariance matrix: it has a negative eigenvalue, {values[0]:.3g}",
            where=str(path),
            why="no data can have these covariances",
            cure="check the numbers; pairwise deletion of missing values can cause this",
        )
    used = values > 1e-12 * values[-1]
    if used.sum() > rows - 1:
        raise UserError(
            f"{rows} rows cannot have a covariance matrix of rank {int(used.sum())}",
            where=f"{path}, line 2",
            why="n rows give a rank of n - 1 at most",
            cure="give the number of rows behind the covariances",
        )
    time = (np.arange(rows) + 0.5) * np.pi / rows
    basis = np.cos(np.outer(time, 1 + np.arange(int(used.sum())))) * np.sqrt(2 / rows)
    return basis @ (np.sqrt(values[used] * (rows - 1))[:, None] * vectors[:, used].T)
