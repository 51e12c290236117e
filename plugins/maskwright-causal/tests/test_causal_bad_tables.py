"""Tables, settings and knowledge that must not be fitted in silence: one error each, naming place and cure."""

import re

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_causal import OrderConsistentDAG
from maskwright_causal.gram import Grams
from maskwright_causal.tables_in import DataWarning, TableError


def tables(rows=30, count=2):
    """Unrelated columns a to d of clearly different variance."""
    noise = np.random.Generator(np.random.Philox(key=Step(seed=1).stream("tables")))
    scales = [1.0, 1.5, 2.0, 3.0]
    return [
        pd.DataFrame(noise.standard_normal((rows, 4)) * scales, columns=list("abcd")) for _ in range(count)
    ]


def with_value(row, column, value):
    first, second = tables()
    second[column] = second[column].astype(object if isinstance(value, str) else float)
    second.loc[row, column] = value
    return [first, second]


def with_column(name, values):
    first, second = tables()
    second[name] = values(second)
    return [first, second]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([tables()[0], tables()[1].drop(columns="b")], "the tables have different columns: table 1 lacks b"),
        (
            [tables()[0].to_numpy(), tables()[1].to_numpy()[:, :3]],
            "different numbers of columns: {'0': 4, '1': 3}",
        ),
        ([tables()[0], tables()[1][:1]], "table 1 has n_samples = 1, a minimum of 2 is required"),
        ([tables()[0], tables()[1][:0]], "table 1 has n_samples = 0, a minimum of 2 is required"),
        (with_value(3, "c", np.nan), "table 1 holds NaN in column 'c', row 3"),
        (with_value(5, "d", -np.inf), "table 1 holds infinity in column 'd', row 5"),
        (with_value(7, "b", "many"), "column 'b' of table 1 is not numeric: row 7 holds 'many'"),
        (with_column("b", lambda t: 2.5), "column 'b' of table 1 is constant (all 30 values equal 2.5)"),
        (
            with_column("d", lambda t: 1 - 3 * t["a"]),
            "columns 'a' and 'd' of table 1 are the same up to scale",
        ),
        (with_column("d", lambda t: t["a"] - t["b"]), "of table 1 add up to a constant (collinear)"),
        (
            [pd.DataFrame(np.eye(3), columns=["a", "b", "a"])],
            "column name 'a' appears more than once in table 0",
        ),
        ([], "no table was given"),
        (csr_array(np.eye(4)), "sparse matrices are not supported"),
        ([csr_array(np.eye(4))], "sparse matrices are not supported"),
        (np.arange(5.0), "got an array with 1 dimension(s)"),
        (np.ones((3, 4)) * 1j, "Complex data not supported"),
        ([np.ones((5, 0))], "0 feature(s)"),
    ],
)
def test_tables_that_cannot_be_used(given, message):
    with pytest.raises(TableError, match=re.escape(message)) as caught:
        OrderConsistentDAG().fit(given)
    assert isinstance(caught.value, UserError)
    assert isinstance(caught.value, ValueError)


def test_the_whole_text_of_one_error():
    with pytest.raises(TableError) as caught:
        OrderConsistentDAG().fit(with_value(3, "c", np.nan))
    assert str(caught.value).splitlines() == [
        "table 1 holds NaN in column 'c', row 3",
        "  where: table 1, column 'c', row 3",
        "  why:   a gap would turn every covariance into NaN",
        "  do:    drop the row, or fill gaps first, for example with sklearn.impute.IterativeImputer",
    ]


def test_collinear_columns_are_named():
    with pytest.raises(TableError) as caught:
        OrderConsistentDAG().fit(with_column("d", lambda t: t["a"] - t["b"]))
    assert set(re.findall("'(.)'", str(caught.value).splitlines()[0])) == {"a", "b", "d"}


def test_the_common_columns_can_be_fitted():
    first, second = tables()
    with pytest.warns(DataWarning, match="fitting the 3 columns that all tables have; table 1 lacks b"):
        fitted = OrderConsistentDAG(columns="common").fit([first, second.drop(columns="b")])
    assert sorted(fitted.order_) == ["a", "c", "d"]
    with pytest.raises(TableError, match="the tables share no column"):
        OrderConsistentDAG(columns="common").fit([first[["a", "b"]], second[["c", "d"]]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": [0, 1]}, "groups has shape (2,), the table has 30 rows"),
        ({"feature_names": ["a", "b"]}, "2 feature names for 4 columns of table 0"),
        (
            {"interventions": np.zeros((2, 4))},
            "interventions must have shape (tasks, variables) = (1, 4), not (2, 4)",
        ),
    ],
)
def test_what_goes_with_the_tables(options, message):
    with pytest.raises(TableError, match=re.escape(message)):
        OrderConsistentDAG().fit(tables()[0].to_numpy(), **options)


def test_groups_go_with_one_table():
    with pytest.raises(TableError, match="groups= goes with one table, not with several"):
        OrderConsistentDAG().fit(tables(), groups=[0, 1])


def test_standardised_columns_are_reported():
    standard = [(t - t.mean()) / t.std() for t in tables()]
    with pytest.warns(DataWarning, match="the columns look standardised: all variances are equal within 1 %"):
        OrderConsistentDAG(alpha=0.1).fit(standard)


def test_wild_scales_are_reported_with_the_sortability():
    wild = [t * [1, 1, 1, 1e4] for t in tables()]
    wild = [t.assign(b=t["b"] + 2 * t["a"]) for t in wild]
    text = r"(?s)differ by a factor of \d+ \('a' to 'd'\).*not scale invariant.*varsortability.* 1\.00"
    with pytest.warns(DataWarning, match=text):
        OrderConsistentDAG(alpha=0.1, threshold=1.0).fit(wild)


def test_coded_categories_are_reported():
    coded = [t.assign(c=np.arange(len(t)) % 4) for t in tables()]
    with pytest.warns(
        DataWarning, match="column 'c' holds 4 different whole numbers: a category coded as a number"
    ):
        OrderConsistentDAG(alpha=0.1).fit(coded)


def test_a_penalty_that_removes_everything_is_reported():
    with pytest.warns(
        DataWarning, match=r"the penalty alpha=99 removed every edge; from [\d.]+ downwards the first"
    ):
        OrderConsistentDAG(alpha=99.0).fit(tables())


def test_no_penalty_needs_more_rows_than_columns():
    with pytest.raises(UserError, match=re.escape("alpha=0 with fewer rows (4) than variables (4)")):
        OrderConsistentDAG(alpha=0).fit(tables(rows=4))
    assert np.isfinite(OrderConsistentDAG(alpha=0.1).fit(tables(rows=3)).coef_).all()


def test_too_many_variables_for_the_exact_solver():
    wide = np.random.Generator(np.random.Philox(key=Step().stream("wide"))).standard_normal((40, 13))
    with pytest.raises(
        UserError, match=r"(?s)would solve 53,248 regressions for 13 variables.*topdown\+search"
    ):
        OrderConsistentDAG("dp").fit(wide * np.arange(1, 14))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"solver": "topdwn"}, "there is no solver 'topdwn' — did you mean \"topdown\"?"),
        ({"penalty": "l2"}, "there is no penalty 'l2'"),
        ({"refit": "lasso"}, "there is no refit 'lasso'"),
        ({"noise": "some"}, "there is no noise 'some'"),
        ({"backend": "scs"}, "there is no backend 'scs'"),
        ({"alpha": "aic"}, "there is no alpha 'aic'"),
        ({"alpha": -0.1}, "alpha must be a finite number >= 0, got -0.1"),
        ({"alpha": np.nan}, "alpha must be a finite number >= 0, got nan"),
        ({"threshold": -1}, "threshold must be a finite number >= 0, got -1"),
        ({"l1_ratio": 2.0}, "l1_ratio must lie between 0 and 1, got 2.0"),
        ({"task_weights": "size"}, "there is no task_weights 'size'"),
        ({"task_weights": [1.0]}, "task_weights must be 2 positive numbers, got [1.0]"),
        ({"task_weights": [1.0, 0.0]}, "task_weights must be 2 positive numbers, got [1.0, 0.0]"),
        ({"alpha": "cv", "cv": 40}, "40-fold cross-validation needs more rows: the smallest table has 30"),
        ({"solver": "convex"}, "solver='convex' needs an order"),
        ({"order": list("abcd")}, "an order is given, but solver='topdown' would look for one"),
        ({"solver": "convex", "order": list("abc")}, "not a permutation of the variables: missing d"),
        ({"solver": "convex", "order": list("abccd")}, "not a permutation of the variables: named twice c"),
        ({"solver": "convex", "order": list("abce")}, "there is no variable 'e'"),
        ({"solver": "convex", "order": list("dcba"), "required": [("a", "b")]}, "does not put a ahead of b"),
        ({"forbidden": [("a", "x")]}, "there is no variable 'x'"),
        ({"forbidden": ["ab"]}, "'ab' is not an edge"),
        ({"required": [("a", "a")]}, "'a' cannot be its own cause"),
        ({"tiers": [["a"], ["b", "a"]]}, "'a' stands in tier 0 and in tier 1"),
        (
            {"required": [("a", "b")], "forbidden": [("a", "b")]},
            "the edge a -> b is required and forbidden",
        ),
        (
            {"required": [("c", "a")], "tiers": [["a"], ["c"]]},
            "the edge c -> a is required and against the tiers",
        ),
        (
            {"required": [("a", "b"), ("b", "c"), ("c", "a")]},
            "required edges and tiers form a cycle: a -> b -> c -> a",
        ),
        (
            {"required": [("b", "d"), ("d", "a")], "tiers": [["a"], ["b"]]},
            "required edges and tiers form a cycle: ",
        ),
    ],
)
def test_settings_that_cannot_be_used(settings, message):
    with pytest.raises(UserError, match=re.escape(message)):
        OrderConsistentDAG(**settings).fit(tables())


@pytest.mark.parametrize(
    ("covariances", "counts", "message"),
    [
        (np.ones((2, 3)), [5, 5], "covariances must have shape (K, p, p), not (1, 2, 3)"),
        (
            np.array([[1.0, 0.5], [0.2, 1.0]]),
            [5],
            "covariance matrix of task 0 is not a finite symmetric matrix",
        ),
        (np.array([[1.0, 2.0], [2.0, 1.0]]), [5], "covariance matrix of task 0 has a negative eigenvalue"),
        (np.eye(2)[None], [5, 6], "need 1 row counts of at least 2, got [5, 6]"),
        (np.eye(2)[None], [1], "need 1 row counts of at least 2, got [1]"),
    ],
)
def test_covariances_that_cannot_be_used(covariances, counts, message):
    with pytest.raises(UserError, match=re.escape(message)):
        OrderConsistentDAG().fit_covariance(covariances, counts)


def test_cross_validation_needs_rows():
    covariance = np.array([[1.0, 0.5], [0.5, 2.0]])
    with pytest.raises(UserError, match="alpha='cv' needs rows, and this fit has covariances only"):
        OrderConsistentDAG(alpha="cv").fit_covariance(covariance, [50])
    assert Grams.from_covariance(covariance, [50]).tasks == 1


def test_new_rows_must_belong_to_the_fit():
    fitted = OrderConsistentDAG().fit(dict(zip("uv", tables(), strict=True)))
    first, second = tables()
    with pytest.raises(TableError, match="got 1 tables for 2 tasks"):
        fitted.score([first])
    with pytest.raises(TableError, match="no such task: w"):
        fitted.transform({"w": first})
    with pytest.raises(TableError, match="table 1 lacks b"):
        fitted.score([first, second.drop(columns="b")])
    with pytest.raises(
        TableError, match="X has 3 features, but OrderConsistentDAG is expecting 4 features as input"
    ):
        fitted.score([first.to_numpy()[:, :3], second.to_numpy()[:, :3]])
    with pytest.raises(TableError, match="holds NaN in column 'c', row 3"):
        fitted.score(with_value(3, "c", np.nan))
    one, both = fitted.score({"u": first}), fitted.score({"u": first, "v": second})
    assert both == pytest.approx((one + fitted.score({"v": second})) / 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.do({"e": 1.0}), "there is no variable 'e'"),
        (lambda m: m.do({"a": np.inf}), "cannot set 'a' to inf"),
        (lambda m: m.sample(5, task=2), "there is no task 2"),
        (lambda m: m.sample(5, task="w"), "there is no task 'w'"),
        (lambda m: m.sample(-1), "cannot draw -1 rows"),
        (lambda m: m.stability(0), "stability needs n_boot >= 1 and 0 < share < 1, not n_boot=0"),
        (
            lambda m: m.stability(3, share=0.05),
            "a share of 0.05 leaves 1 of the 30 rows of the smallest table",
        ),
    ],
)
def test_questions_that_have_no_answer(call, message):
    fitted = OrderConsistentDAG().fit(tables())
    with pytest.raises(UserError, match=re.escape(message)):
        call(fitted)
