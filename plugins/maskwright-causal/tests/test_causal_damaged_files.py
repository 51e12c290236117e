"""Damaged files of every format end in a UserError or are read; nothing else ever comes out."""

import io

import numpy as np
import pytest

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_causal.generators import random
from maskwright_causal.known_graphs import KnownGraphs
from maskwright_causal.params_data import EXAMPLES
from maskwright_causal.readers import read_tables
from maskwright_causal.tetrad import read_knowledge_file
from maskwright_causal.truth_files import read_truth

NAMES = ["a", "b", "c", "d"]


def stacked_tables():
    buffer = io.BytesIO()
    np.savez(buffer, X=np.arange(30.0).reshape(2, 5, 3))
    return buffer.getvalue()


def truth(path):
    return read_truth(path, NAMES, ["one", "two"])


NODES = b"".join(b'<node id="%c"/>' % name for name in b"abcd")
FILES = {
    "table.csv": ((EXAMPLES / "tables" / "site-a.csv").read_bytes(), read_tables),
    "covariance.txt": (b"/Covariance\n50\na b\n4.0\n1.0 2.0\n", read_tables),
    "stack.npz": (stacked_tables(), read_tables),
    "graph.txt": (b"Graph Nodes:\na;b;c;d\n\nGraph Edges:\n1. a --> b\n2. b --> c\n", truth),
    "adjacency.csv": (b",a,b,c,d\na,0,1,0,0\nb,0,0,0,0\nc,0,0,0,0\nd,0,0,0,0\n", truth),
    "graph.graphml": (
        b'<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><graph edgedefault="directed">'
        + NODES
        + b'<edge source="a" target="b"/></graph></graphml>',
        truth,
    ),
    "graphs.npz": ((EXAMPLES / "graphs.npz").read_bytes(), KnownGraphs.read),
    "knowledge.txt": (b"/knowledge\naddtemporal\n1 a b\n2 c\nrequiredirect\na c\n", read_knowledge_file),
}


def damaged(content, generator):
    """The content with one to three bytes changed, cut out or put in."""
    content = bytearray(content)
    for _ in range(int(generator.integers(1, 4))):
        place, kind = int(generator.integers(len(content))), int(generator.integers(4))
        if kind == 0:
            content[place] = int(generator.integers(256))
        elif kind == 1:
            content[place] = int(generator.integers(32, 127))
        elif kind == 2:
            del content[place : place + int(generator.integers(1, 12))]
        else:
            content[place:place] = bytes(generator.choice(list(b'\n,;"-1.eN\x00a>'), 3).tolist())
        content = content or bytearray(b" ")
    return bytes(content)


@pytest.mark.parametrize("name", FILES)
def test_damage_is_told_or_harmless(tmp_path, name):
    content, read = FILES[name]
    path = tmp_path / name
    path.write_bytes(content)
    read(path)  # whole, it is read
    generator, refused = random(Step(seed=1), name), 0
    for _ in range(60):
        path.write_bytes(damaged(content, generator))
        try:
            read(path)
        except UserError as error:
            refused += 1
            assert name in str(error) and len(str(error).splitlines()[0]) > 10
    assert refused >= 10
