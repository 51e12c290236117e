"""Graphs in and out of every format, Tetrad's knowledge, and files that must be refused."""

import networkx as nx
import numpy as np
import pytest

from maskwright.errors import UserError
from maskwright_causal.known_graphs import KnownGraphs
from maskwright_causal.tetrad import read_knowledge_file, read_tetrad_graph
from maskwright_causal.truth_files import read_graph, read_truth
from maskwright_causal.writers import (
    EXPORTS,
    export_csv,
    export_dot,
    export_graphml,
    export_npz,
    read_coef,
    write_whole,
)

NAMES = ("a", 'b "quoted"', "c & d")


def graphs():
    made = []
    for task, edges in (("first", [(0, 1, 0.123456789012345), (1, 2, -2.0)]), ("second", [(0, 2, 1e-7)])):
        graph = nx.DiGraph(name=task)
        for node in NAMES:
            graph.add_node(node, noise_variance=np.float64(1.5))
        graph.add_weighted_edges_from((NAMES[i], NAMES[j], np.float64(w)) for i, j, w in edges)
        made.append(graph)
    return made


def same(one, other):
    assert list(one.nodes) == list(other.nodes)
    assert dict(one.edges) == {edge: pytest.approx(data) for edge, data in other.edges.items()}


@pytest.mark.parametrize("suffix", ["graphml", "csv"])
def test_a_graph_comes_back_with_every_digit(tmp_path, suffix):
    paths = EXPORTS[suffix](graphs(), tmp_path)
    assert [path.name for path in paths] == [f"first.{suffix}", f"second.{suffix}"]
    for path, graph in zip(paths, graphs(), strict=True):
        back = read_graph(path)
        same(back, graph)
        assert [w for *_, w in back.edges(data="weight")] == [w for *_, w in graph.edges(data="weight")]


def test_graphml_keeps_the_noise(tmp_path):
    (path,) = export_graphml(graphs()[:1], tmp_path / "one.graphml")
    assert path == tmp_path / "one.graphml"
    assert read_graph(path).nodes["a"]["noise_variance"] == 1.5


def test_npz_holds_all_tasks(tmp_path):
    (path,) = export_npz(graphs(), tmp_path)
    back = read_coef(path)
    assert path.name == "coef.npz" and [graph.graph["name"] for graph in back] == ["first", "second"]
    for one, other in zip(back, graphs(), strict=True):
        same(one, other)
        assert one.nodes["a"]["noise_variance"] == 1.5


def test_gexf_is_read_by_networkx(tmp_path):
    paths = EXPORTS["gexf"](graphs(), tmp_path)
    assert set(nx.read_gexf(paths[0]).edges) == set(graphs()[0].edges)


def test_dot_escapes_names_and_rounds_weights(tmp_path):
    (path, _) = export_dot(graphs(), tmp_path, digits=3)
    text = path.read_text()
    assert '"a" -> "b \\"quoted\\"" [label="0.123"];' in text
    assert text.startswith('digraph "first" {') and text.endswith("}\n")


def test_several_graphs_do_not_fit_into_one_file(tmp_path):
    with pytest.raises(UserError, match=r"2 graphs do not fit into one file all\.csv"):
        export_csv(graphs(), tmp_path / "all.csv")


def test_task_names_cannot_leave_the_folder(tmp_path):
    bad = graphs()
    bad[0].graph["name"] = "../../escape"
    bad[1].graph["name"] = "..-..-escape"
    paths = export_csv(bad, tmp_path / "out")
    assert all(path.parent == tmp_path / "out" for path in paths) and len(set(paths)) == 2


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.csv"
    write_whole(path, b"old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


# ---- true graphs


def test_truth_in_every_layout(tmp_path):
    wanted = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=float)
    (tmp_path / "t.txt").write_text(
        "Graph Nodes:\nc;a;b\n\nGraph Edges:\n1. a --> b\n2. c <-- b\n\nGraph Attributes:\nx\n"
    )
    (tmp_path / "adjacency.csv").write_text(",c,a,b\nc,0,0,0\na,0,0,1\nb,1,0,0\n")
    (tmp_path / "edges.csv").write_text("cause,effect\na,b\nb,c\n")
    np.savez(tmp_path / "t.npz", truth=wanted)
    for name in ("t.txt", "adjacency.csv", "edges.csv", "t.npz"):
        np.testing.assert_array_equal(read_truth(tmp_path / name, ["a", "b", "c"]), wanted, err_msg=name)


def test_one_truth_per_task(tmp_path):
    export_csv(graphs(), tmp_path)
    export_npz(graphs(), tmp_path / "all.npz")
    for path in (tmp_path, tmp_path / "all.npz"):
        truth = read_truth(path, NAMES, ["first", "second"])
        assert truth.shape == (2, 3, 3) and truth[0, 1, 2] == -2.0 and truth[1, 0, 2] == 1e-7
    with pytest.raises(UserError, match="has no graph for task third"):
        read_truth(tmp_path, NAMES, ["first", "third"])
    with pytest.raises(UserError, match=r"all\.npz holds 2 graphs for 3 tasks"):
        read_truth(tmp_path / "all.npz", NAMES, ["first", "second", "third"])


def test_bad_truth_files(tmp_path):
    path = tmp_path / "t.txt"

    def refused(content, match, name="t.txt"):
        (tmp_path / name).write_text(content)
        with pytest.raises(UserError, match=match) as error:
            read_truth(tmp_path / name, ["a", "b"])
        return str(error.value)

    refused(
        "Graph Nodes:\na;b\n\nGraph Edges:\n1. a --> b\n2. b --> a\n",
        "the true graph has a cycle: a -> b -> a",
    )
    told = refused(
        "Graph Nodes:\na;b\n\nGraph Edges:\n1. a o-> b\n", "the edge a o-> b has no single direction"
    )
    assert f"{path}, line 5" in told
    refused("Graph Nodes:\na;b\n\nGraph Edges:\n1. a --> z\n", 'the edge names "z", which is no node')
    refused("a b\n", "t.txt lists no nodes")
    refused("Graph Nodes:\na;B\n\nGraph Edges:\n", "the true graph lacks b and has B, which the data do not")
    refused("x,y\n1,2\n", "e.csv is neither an adjacency table nor a list of edges", "e.csv")
    refused("cause,effect,weight\na,b,strong\n", '"strong" is no weight', "e.csv")
    refused("", "e.csv is empty", "e.csv")
    refused("", r"no reader for graphs in \.gml", "e.gml")
    with pytest.raises(UserError, match="there is no truth file"):
        read_truth(tmp_path / "none.csv", ["a"])


def test_graphml_with_a_document_type_is_refused(tmp_path):
    path = tmp_path / "bomb.graphml"
    path.write_text(
        '<?xml version="1.0"?>\n<!DOCTYPE g [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>\n<graphml>&b;</graphml>'
    )
    with pytest.raises(UserError, match=r"bomb\.graphml declares a document type") as error:
        read_graph(path)
    assert "entities in one can fill the memory" in str(error.value)
    path.write_text(path.read_text(), encoding="utf-16")
    with pytest.raises(UserError, match="or is not UTF-8"):
        read_graph(path)
    path.write_text("<graphml><graph")
    with pytest.raises(UserError, match=r"bomb\.graphml is no GraphML"):
        read_graph(path)
    nx.write_graphml(nx.Graph([("a", "b")]), path)
    with pytest.raises(UserError, match="is not a simple directed graph"):
        read_graph(path)


def test_a_coef_file_without_its_arrays_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz", coef=np.zeros((1, 2, 2)))
    with pytest.raises(UserError, match=r"x\.npz lacks tasks, variables"):
        read_coef(tmp_path / "x.npz")


# ---- knowledge


def test_knowledge_files(tmp_path):
    path = tmp_path / "k.txt"
    path.write_text(
        "/knowledge\naddtemporal\n\n1 age sex\n2* dose\n3 cure relapse\n\n"
        "forbiddirect\nage cure\n\nrequiredirect\ndose cure\n"
    )
    known = read_knowledge_file(path)
    assert known.tiers == (("age", "sex"), ("dose",), ("cure", "relapse"))
    assert known.forbidden == (("age", "cure"),) and known.required == (("dose", "cure"),)
    part = known.about(["dose", "cure"])
    assert (
        part.tiers == ((), ("dose",), ("cure",))
        and part.forbidden == ()
        and part.required == (("dose", "cure"),)
    )


def test_a_star_forbids_edges_inside_a_tier(tmp_path):
    (tmp_path / "k.txt").write_text("/knowledge\naddtemporal\n1* a b\n")
    assert set(read_knowledge_file(tmp_path / "k.txt").forbidden) == {("a", "b"), ("b", "a")}


def test_broken_knowledge_files(tmp_path):
    path = tmp_path / "k.txt"
    for content, match in (
        ("tiers\n", 'k.txt does not start with "/knowledge"'),
        ("/knowledge\nforbiddirect\na b c\n", '"a b c" is not a pair of names'),
        ("/knowledge\nforbiddirect\na b\nrequiredirect\na b\n", "a -> b is both forbidden and required"),
    ):
        path.write_text(content)
        with pytest.raises(UserError, match=match):
            read_knowledge_file(path)


def test_a_tetrad_graph_keeps_isolated_nodes(tmp_path):
    (tmp_path / "g.txt").write_text("Graph Nodes:\na,b,c\n\nGraph Edges:\n1. a --> b\n")
    assert read_tetrad_graph(tmp_path / "g.txt") == (("a", "b", "c"), [("a", "b")])


# ---- graphs in place of a fit


def test_known_graphs_find_an_order_that_all_obey(tmp_path):
    export_npz(graphs(), tmp_path)
    found = KnownGraphs.read(tmp_path / "coef.npz")
    assert found.order_ == list(NAMES) and found.task_names_ == ["first", "second"]
    assert found.coef_[0, 1, 2] == -2.0 and (found.noise_variance_ == 1.5).all()


def test_known_graphs_without_a_common_order_are_refused(tmp_path):
    (tmp_path / "one.csv").write_text("cause,effect\na,b\n")
    (tmp_path / "two.csv").write_text("cause,effect\nb,a\n")
    with pytest.raises(
        UserError, match="the graphs share no order: together they have the cycle a -> b -> a"
    ):
        KnownGraphs.read(tmp_path)
    assert KnownGraphs.read(tmp_path / "two.csv").order_ == ["b", "a"]
