"""Tables in every layout, and one clear message for each way they can be broken."""

from pathlib import Path

import numpy as np
import pytest

import maskwright_causal
from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_causal.params_data import Fmri9, Sachs, Tables
from maskwright_causal.readers import read_tables

EXAMPLES = Path(maskwright_causal.__file__).with_name("example_tables")
ROWS = np.array([[1.5, 2.0, -3.0], [2.5, 1.0, 4.0], [0.5, 3.0, 1.0], [0.25, 7.0, 2.0]])


def text(rows=ROWS, names="abc", mark=","):
    lines = [mark.join(names)] + [mark.join(str(value) for value in row) for row in rows]
    return "\n".join(lines) + "\n"


def refused(path, match, **settings):
    with pytest.raises(UserError, match=match) as error:
        Tables(path=path, **settings).build(0).splits()
    return str(error.value)


# ---- layouts


@pytest.mark.parametrize(("name", "mark"), [("t.csv", ","), ("t.tsv", "\t"), ("t.txt", " "), ("t.csv", ";")])
def test_text_tables(tmp_path, name, mark):
    (tmp_path / name).write_text(text(mark=mark), encoding="utf-8-sig")
    (table,) = read_tables(tmp_path)
    assert table.name == "t" and table.variables == ("a", "b", "c")
    np.testing.assert_array_equal(table.samples, ROWS)


def test_a_folder_gives_one_task_per_file(tmp_path):
    for name in ("south", "north"):
        (tmp_path / f"{name}.csv").write_text(text())
    (tmp_path / "notes.md").write_text("not a table")
    data = Tables(path=tmp_path).build(0)
    assert data.about("train")["tasks"] == ("north", "south")
    item = data.item("train", 0, Step())
    assert item["id"] == "train/north" and "truth" not in item
    assert not item["samples"].flags.writeable


def test_one_long_table_is_cut_by_its_task_column(tmp_path):
    path = tmp_path / "long.csv"
    lines = ["site,a,b"] + [f"{site},{k},{k * k % 7}" for k, site in enumerate("xyxyxyyy")]
    path.write_text("\n".join(lines))
    tables = read_tables(path, "site")
    assert [table.name for table in tables] == ["x", "y"]
    assert tables[0].samples[:, 0].tolist() == [0, 2, 4] and tables[1].variables == ("a", "b")
    assert 'has no column "sit" — did you mean "site"?' in refused(path, "has no column", task_column="sit")


def test_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is in the extra [tables]")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({n: ROWS[:, k] for k, n in enumerate("abc")}), tmp_path / "t.parquet")
    np.testing.assert_array_equal(read_tables(tmp_path / "t.parquet")[0].samples, ROWS)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    refused(tmp_path / "bad.parquet", r"bad\.parquet cannot be read as Parquet")


def test_npz_layouts(tmp_path):
    stack = np.stack([ROWS, 2 * ROWS])
    np.savez(
        tmp_path / "stack.npz",
        X=stack,
        variables=np.array(["a", "b", "c"]),
        truth=np.triu(np.ones((3, 3)), 1),
    )
    tables = read_tables(tmp_path / "stack.npz")
    assert [table.name for table in tables] == ["task-00", "task-01"] and tables[1].variables == (
        "a",
        "b",
        "c",
    )
    np.testing.assert_array_equal(tables[1].samples, 2 * ROWS)
    assert tables[1].truth.sum() == 3
    np.savez(tmp_path / "named.npz", liver=ROWS, brain=ROWS[:3])
    assert {table.name: len(table.samples) for table in read_tables(tmp_path / "named.npz")} == {
        "liver": 4,
        "brain": 3,
    }


def test_sergio_adjacencies_are_turned(tmp_path):
    target_regulator = np.zeros((2, 3, 3))
    target_regulator[0, 2, 0] = 1.5  # gene 0 regulates gene 2
    np.savez(
        tmp_path / "s.npz",
        expression=np.concatenate([ROWS, ROWS + 1]),
        task_labels=np.repeat([0, 1], 4),
        task_adjacencies=target_regulator,
        true_adjacency=target_regulator[0],
    )
    data = Tables(path=tmp_path / "s.npz").build(0)
    assert data.item("train", 0, Step())["truth"][0, 2] == 1.5
    np.testing.assert_array_equal(data.item("train", 1, Step())["samples"], ROWS + 1)
    assert "read as [target, regulator]" in data.about("train")["notices"][0]


def test_a_covariance_file_becomes_rows_with_that_covariance(tmp_path):
    path = tmp_path / "c.txt"
    path.write_text("/Covariance\n50\na b c\n4.0\n1.0 2.0\n0.5 -0.3 1.0\n")
    data = Tables(path=path).build(0)
    rows = data.item("train", 0, Step())["samples"]
    assert rows.shape == (50, 3)
    np.testing.assert_allclose(np.cov(rows.T), [[4, 1, 0.5], [1, 2, -0.3], [0.5, -0.3, 1]], atol=1e-12)
    np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-12)
    assert "rows rebuilt from covariances" in data.about("train")["notices"][0]


# ---- what is wrong with a table


def test_missing_files_and_folders(tmp_path):
    refused(tmp_path / "nowhere", "there is no file or folder .*nowhere")
    refused(tmp_path, "the folder .* holds no table")


def test_gaps_and_infinities_name_column_and_line(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n3,NA\n5,\n7,8\n")
    told = refused(path, r'column "b" has a missing value \(and 1 more in this task\)')
    assert f"{path} (task t), line 3, column b" in told and "IterativeImputer" in told
    path.write_text("a,b\n1,2\n3,4\ninf,1\n")
    assert "line 4, column a" in refused(path, 'column "a" has an infinite value\n')


def test_the_line_is_that_of_the_file_also_in_a_long_table(tmp_path):
    path = tmp_path / "long.csv"
    path.write_text("site,a,b\nx,1,2\ny,3,4\nx,5,6\ny,nan,8\n")
    assert "(task y), line 5, column a" in refused(path, "missing value", task_column="site")


def test_words_among_numbers(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n3,high\n")
    told = refused(path, 'column "b" holds "high", which is no number')
    assert "line 3, column b" in told and "task_column=NAME" in told


def test_broken_text(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n3\n")
    refused(path, "line 3 of t.csv has 1 entries, the header has 2")
    path.write_text("1.0,2.0\n3,4\n5,6\n")
    refused(path, "the first line of t.csv holds numbers, not column names")
    path.write_text("a,a\n1,2\n3,4\n")
    refused(path, 'two columns are called "a"')
    path.write_text(",a,b\n0,1,2\n1,3,4\n")
    assert "save without the index" in refused(path, "column 1 has no name")
    path.write_text("")
    refused(path, "t.csv is empty")
    path.write_bytes("a,b\n1,é\n".encode("latin-1"))
    refused(path, r"t.csv is not UTF-8 text \(byte 6\)")
    path.write_text("/variables\na b\n")
    refused(path, 't.csv starts with the section "/variables"')


def test_too_few_rows_and_constants(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n")
    refused(path, "1 row of data")
    path.write_text("a,b\n")
    refused(path, "0 rows of data")
    path.write_text("a,b,c\n1,2,5\n1,3,5\n1,4,6\n")
    assert "where: task t" in refused(path, "column a never changes")


def test_pickled_arrays_are_never_loaded(tmp_path):
    path = tmp_path / "evil.npz"
    np.savez(path, X=np.array([{"a": 1}], dtype=object))
    assert "pickled content is never loaded" in refused(path, "evil.npz cannot be read as plain arrays")
    path.write_bytes(b"PK\x03\x04 cut off")
    refused(path, "evil.npz cannot be read as plain arrays")


def test_npz_of_the_wrong_shape(tmp_path):
    np.savez(tmp_path / "a.npz", X=np.ones(4))
    refused(tmp_path / "a.npz", r"X in a.npz has shape \(4,\)")
    np.savez(tmp_path / "b.npz", liver=ROWS, counts=np.ones(3))
    refused(tmp_path / "b.npz", r"b.npz holds liver \(4, 3\), counts \(3,\)")
    np.savez(tmp_path / "c.npz", X=ROWS, variables=np.array(["a"]))
    refused(tmp_path / "c.npz", "1 variables and 1 tasks for 1 tables of 3 columns")
    np.savez(tmp_path / "d.npz", expression=ROWS)
    refused(tmp_path / "d.npz", "lacks task_adjacencies, task_labels")


def test_broken_covariance_files(tmp_path):
    path = tmp_path / "c.txt"
    path.write_text("/Covariance\n50\na b\n4.0\n1.0\n")
    refused(path, "row 2 of the triangle must have 2 numbers")
    path.write_text("/Covariance\nfifty\na b\n4.0\n1.0 2.0\n")
    refused(path, "c.txt is not a covariance file")
    path.write_text("/Covariance\n50\na b\n1.0\n2.0 1.0\n")
    refused(path, "it has a negative eigenvalue, -1")
    path.write_text("/Covariance\n2\na b\n1.0\n0.0 1.0\n")
    refused(path, "2 rows cannot have a covariance matrix of rank 2")


# ---- tasks that do not match


def test_columns_are_matched_by_name(tmp_path):
    (tmp_path / "one.csv").write_text(text())
    (tmp_path / "two.csv").write_text(text(ROWS[:, ::-1], "cba"))
    data = Tables(path=tmp_path).build(0)
    np.testing.assert_array_equal(data.item("train", 1, Step())["samples"], ROWS)
    assert data.about("train")["notices"] == ("task two lists its columns in another order; matched by name",)


def test_different_columns_are_refused_or_cut_to_the_common_ones(tmp_path):
    (tmp_path / "one.csv").write_text(text())
    (tmp_path / "two.csv").write_text(text(names="abd"))
    told = refused(tmp_path, "task two lacks c and has d, which task one does not")
    assert "columns=common" in told
    data = Tables(path=tmp_path, columns="common").build(0)
    assert data.about("train")["variables"] == ("a", "b")
    assert data.about("train")["notices"] == ("left out, because some task lacks them: c, d",)
    (tmp_path / "two.csv").write_text(text(names="xyz"))
    refused(tmp_path, "the tasks have 0 columns in common", columns="common")


def test_suspicious_columns_get_a_notice(tmp_path):
    steps = np.arange(12.0)
    rows = np.column_stack([steps**2 * 1e4, steps / 8, [0, 1, 1, 2] * 3])
    (tmp_path / "t.csv").write_text(text(rows))
    units, codes = Tables(path=tmp_path).build(0).about("train")["notices"]
    assert units.startswith("a varies 913,309 times as much as b") and "scale=pooled" in units
    assert codes == "c takes only 3 whole values: a category coded as numbers?"


# ---- held-out rows, and the sets read by path


def test_held_out_rows(tmp_path):
    rows = np.arange(40.0).reshape(20, 2) ** 1.5
    (tmp_path / "t.csv").write_text(text(rows, "ab"))
    last = Tables(path=tmp_path, held_out=0.25, held_out_rows="last").build(0)
    np.testing.assert_array_equal(last.item("test", 0, Step())["samples"], rows[15:])
    first, again, other = (Tables(path=tmp_path, held_out=0.25).build(seed) for seed in (1, 1, 2))
    test = first.item("test", 0, Step())["samples"]
    np.testing.assert_array_equal(test, again.item("test", 0, Step())["samples"])
    assert not np.array_equal(test, other.item("test", 0, Step())["samples"])
    both = np.concatenate([first.item("train", 0, Step())["samples"], test])
    np.testing.assert_array_equal(np.sort(both[:, 0]), rows[:, 0])
    refused(tmp_path, "held_out=0.05 of 20 rows leaves 19 to fit and 1 to test", held_out=0.05)
    with pytest.raises(UserError, match='there is no split "test"') as error:
        Tables(path=tmp_path).build(0).length("test")
    assert "held_out=0.2" in str(error.value)


def test_sachs_conditions_become_tasks_with_known_interventions():
    data = Sachs(path=EXAMPLES / "sachs").build(0)
    assert data.about("train")["tasks"] == ("cd3_cd28", "cd3_cd28+u0126", "b2camp")
    items = [data.item("train", task, Step()) for task in range(3)]
    hit = [[n for n, on in zip(i["variables"], i["intervened"], strict=True) if on] for i in items]
    assert hit == [[], ["mek"], ["pka"]]
    assert all(item["samples"].shape == (20, 11) for item in items)


def test_the_truth_beside_the_sachs_file_is_found(tmp_path):
    source = (EXAMPLES / "sachs" / "experimental.txt").read_text()
    (tmp_path / "experimental.txt").write_text(source)
    header = "raf;mek;plc;pip2;pip3;erk;akt;pka;pkc;p38;jnk"
    graph = f"Graph Nodes:\n{header}\n\nGraph Edges:\n1. raf --> mek\n2. mek --> erk\n"
    (tmp_path / "sachs.2005.ground.truth.graph.txt").write_text(graph)
    truth = Sachs(path=tmp_path).build(0).item("train", 2, Step())["truth"]
    assert truth[0, 1] == 1 and truth[1, 5] == 1 and truth.sum() == 2
    assert Sachs(path=tmp_path).tags() == Sachs(path=tmp_path / "later").tags() == {"intervened", "truth"}
    assert Sachs(path=EXAMPLES / "sachs").tags() == {"intervened"}
    (tmp_path / "experimental.txt").write_text(source.replace("pma", "pmb"))
    with pytest.raises(UserError, match=r"experimental\.txt lacks the column pma"):
        Sachs(path=tmp_path).build(0).splits()
    (tmp_path / "other.experimental.txt").write_text(source)
    with pytest.raises(UserError, match=r"2 files in .* have 'experimental' in their name"):
        Sachs(path=tmp_path).build(0).splits()


def test_fmri_subjects_become_tasks_without_the_stimulus():
    data = Fmri9(path=EXAMPLES / "fmri").build(0)
    assert data.about("test")["tasks"] == ("sub001", "sub002")
    assert data.about("test")["variables"] == ("LOCC", "LACC", "LIFG", "LIPL", "ROCC", "RACC", "RIFG", "RIPL")
    assert data.about("test")["rows"] == (6, 6)
