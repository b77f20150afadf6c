"""DataProcessor: what it makes of tables, as an estimator and at its edges."""

from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import SelectKBest, f_classif, f_regression
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from audotics.errors import BadInputError
from audotics.features.processor import DataProcessor, column_variance

EXPECTED_FAILURES = {
    "check_estimators_empty_data_messages": "an array without columns yields no features on purpose",
}


@parametrize_with_checks([DataProcessor()], expected_failed_checks=lambda _: EXPECTED_FAILURES)
def test_scikit_learns_own_checks(estimator: Any, check: Any) -> None:
    check(estimator)


def tracks(n: int = 60, seed: int = 0) -> pl.DataFrame:
    """A tracks table of every kind of column, with gaps; genre says which artist and how fast."""
    rng = np.random.default_rng(seed)
    rock = np.arange(n) % 2 == 0
    tempo = np.where(rock, 140.0, 90.0) + rng.normal(size=n)
    tempo[::7] = np.nan
    return pl.DataFrame(
        {
            "track_id": [f"t{i}" for i in range(n)],
            "title": [f"Title {i}" for i in range(n)],
            "artist_id": [f"{'r' if r else 'p'}{i % 3}" for i, r in enumerate(rock)],
            "artist": ["somebody"] * n,
            "album": [None] * n,
            "duration_ms": rng.integers(100_000, 300_000, n),
            "released": [date(1980 + i % 40, 1, 1) if i % 5 else None for i in range(n)],
            "explicit": [[True, False, None][i % 3] for i in range(n)],
            "genres": [["Rock"] if r else ["pop", "dance"] for r in rock],
            "tags": [[] if i % 4 else None for i in range(n)],
            "embedding": [list(rng.normal(size=3)) if i % 6 else None for i in range(n)],
            "feature_tempo": tempo,
        },
        schema_overrides={"album": pl.String, "tags": pl.List(pl.String)},
    )


def encoded(processor: DataProcessor, table: pl.DataFrame) -> dict[str, list[float]]:
    """Columns by name, without selection and reduction."""
    out = processor.fit_transform(table)
    dense = out.toarray() if sparse.issparse(out) else out
    return dict(zip(processor.get_feature_names_out(), dense.T.tolist(), strict=True))


def plain(**settings: Any) -> DataProcessor:
    return DataProcessor(k=None, n_components=None, min_frequency=1, **settings)


def test_every_kind_of_column_is_found() -> None:
    processor = DataProcessor().fit(tracks())
    assert processor.columns_ == {
        "artist": "text",
        "duration_ms": "numeric",
        "released": "numeric",
        "explicit": "numeric",
        "genres": "terms",
        "embedding": 3,
        "feature_tempo": "numeric",
    }
    out = processor.transform(tracks())
    assert out.shape == (60, processor.n_features_out_)
    assert np.isfinite(out).all()


def test_numbers_by_hand() -> None:
    columns = encoded(
        plain(), pl.DataFrame({"feature_a": [1.0, 3.0, None, float("inf")], "feature_b": [2, 2, 2, 2]})
    )
    # Median 2 stands in for null and infinity: 1 3 2 2 has mean 2 and variance 1/2.
    assert columns["feature_a"] == pytest.approx([-np.sqrt(2), np.sqrt(2), 0, 0])
    assert columns["missingindicator_feature_a"] == pytest.approx([-1, -1, 1, 1])
    assert len(columns) == 2  # a constant says nothing


def test_dates_count_as_years_and_booleans_as_numbers() -> None:
    table = pl.DataFrame({"released": [date(2000, 12, 31), date(2002, 1, 1)], "explicit": [True, False]})
    assert encoded(plain(), table) == {"released": [-1, 1], "explicit": [1, -1]}


def test_terms_by_hand() -> None:
    table = pl.DataFrame({"tags": [["Rock", "rock ", "pop"], ["pop"], ["unique"], None]})
    hot = encoded(plain(weighting="multihot"), table)
    assert hot == {"tags=pop": [1, 1, 0, 0], "tags=rock": [1, 0, 0, 0], "tags=unique": [0, 0, 1, 0]}
    tfidf = encoded(plain(), table)
    pop, rock = 1 + np.log(4 / 3), (1 + np.log(2)) * (1 + np.log(4 / 2))
    assert tfidf["tags=pop"] == pytest.approx([pop / np.hypot(pop, rock), 1, 0, 0])
    assert tfidf["tags=rock"] == pytest.approx([rock / np.hypot(pop, rock), 0, 0, 0])


def test_categories_are_one_hot_from_a_frequency_on() -> None:
    users = pl.DataFrame(
        {"user_id": list("abcde"), "country": ["SE", "SE", "DE", None, "DE"], "gender": list("mffxf")}
    )
    processor = DataProcessor(k=None, n_components=None, min_frequency=2).fit(users)
    assert processor.get_feature_names_out().tolist() == ["country=DE", "country=SE", "gender=f"]
    later = pl.DataFrame({"country": ["FR", "SE"], "gender": ["f", None]})
    np.testing.assert_array_equal(_dense(processor.transform(later)), [[0, 0, 1], [0, 1, 0]])


def _dense(matrix: Any) -> np.ndarray:
    return matrix.toarray() if sparse.issparse(matrix) else np.asarray(matrix)


def test_the_most_frequent_terms_are_kept() -> None:
    table = pl.DataFrame({"tags": [["a", "b", "c"], ["b", "c"], ["c", "b"], ["c"], []]})
    assert set(encoded(plain(max_terms=2), table)) == {"tags=b", "tags=c"}


def test_columns_without_a_frequent_term_do_not_count() -> None:
    table = tracks().with_columns(artist_id="track_id", country=pl.lit("SE"))
    processor = DataProcessor(n_components=None).fit(table)
    assert not {"artist", "country", "tags"} & set(processor.columns_)
    assert "genres" in processor.columns_


def test_artist_name_is_used_without_an_id() -> None:
    table = pl.DataFrame(
        {"artist": ["A", "A", "B"], "artist_id": [None, None, None]},
        schema_overrides={"artist_id": pl.String},
    )
    assert set(encoded(plain(), table)) == {"artist=A", "artist=B"}


@pytest.mark.parametrize(
    "table",
    [
        pl.DataFrame({"track_id": ["a", "b"], "title": ["x", "y"]}),
        pl.DataFrame({"feature_x": [1.0, 1.0], "tags": [["a"], ["a"]]}),
        pl.DataFrame({"artist_id": ["a", "b", "c"], "tags": [["x"], ["y"], []]}),
        pl.DataFrame({"feature_x": [None, None], "genres": [None, None]}),
        pl.DataFrame({"feature_x": [1.0, None, 5.0]}).head(1),
        np.zeros((4, 0)),
        np.full((4, 2), np.nan),
    ],
)
def test_without_features_nothing_comes_out_and_nothing_fails(table: Any) -> None:
    processor = DataProcessor()
    assert processor.fit_transform(table).shape == (len(table), 0)
    assert processor.get_feature_names_out().tolist() == []
    assert processor.transform(table).shape == (len(table), 0)


@pytest.mark.parametrize(
    ("k", "n_components", "expected"), [(1000, 1000, 4), (2, 64, 2), (3, 1, 1), (None, 3, 3)]
)
def test_k_and_components_adapt(k: int | None, n_components: int, expected: int) -> None:
    X = np.random.default_rng(0).normal(size=(30, 4))  # noqa: N806
    assert DataProcessor(k=k, n_components=n_components).fit_transform(X).shape == (30, expected)


def test_selection_follows_the_target() -> None:
    table = tracks().select("duration_ms", "feature_tempo")
    rock = np.arange(60) % 2
    chosen = DataProcessor(k=1, n_components=None).fit(table, rock)
    assert chosen.get_feature_names_out().tolist() == ["feature_tempo"]
    assert chosen.pipeline_["select"].score_func is f_classif
    popularity = table["duration_ms"].to_numpy() * 0.5 + np.random.default_rng(1).normal(size=60)
    chosen.fit(table, popularity)
    assert chosen.get_feature_names_out().tolist() == ["duration_ms"]
    assert chosen.pipeline_["select"].score_func is f_regression


def test_without_a_telling_target_variance_selects() -> None:
    table = pl.DataFrame({"country": ["SE"] * 10 + ["DE"] * 9 + ["FR"]})
    for target in (None, np.ones(20)):
        chosen = DataProcessor(k=1, n_components=None, min_frequency=1).fit(table, target)
        assert chosen.get_feature_names_out().tolist() == ["country=SE"]
        assert isinstance(chosen.pipeline_["select"], SelectKBest)


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_column_variance_of_sparse_and_dense_agree(seed: int) -> None:
    matrix = sparse.random(12, 5, density=0.4, format="csr", random_state=seed)
    np.testing.assert_allclose(column_variance(matrix), matrix.toarray().var(axis=0), atol=1e-12)
    np.testing.assert_allclose(column_variance(matrix.toarray()), matrix.toarray().var(axis=0))


def test_very_wide_tables_are_reduced_by_truncated_svd_and_repeatably(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert isinstance(DataProcessor().fit(tracks()).pipeline_["reduce"], PCA)
    monkeypatch.setattr("audotics.features.processor._MAX_COVARIANCE", 3)
    first, second = (DataProcessor(n_components=2, random_state=7).fit(tracks()) for _ in range(2))
    assert isinstance(first.pipeline_["reduce"], TruncatedSVD)
    np.testing.assert_array_equal(first.transform(tracks()), second.transform(tracks()))


def test_columns_are_matched_by_name() -> None:
    processor = DataProcessor(min_frequency=1).fit(tracks())
    shuffled = tracks().select(reversed(tracks().columns)).with_columns(feature_new=pl.lit(1.0))
    np.testing.assert_array_equal(processor.transform(shuffled), processor.transform(tracks()))
    with pytest.raises(BadInputError, match="no column 'feature_tempo'"):
        processor.transform(tracks().drop("feature_tempo"))
    with pytest.raises(BadInputError, match="'feature_tempo'"):
        processor.transform(tracks().with_columns(feature_tempo=pl.lit("fast")))


def test_rows_are_independent_and_may_be_none() -> None:
    processor = DataProcessor(min_frequency=1).fit(tracks())
    whole = processor.transform(tracks())
    np.testing.assert_allclose(processor.transform(tracks()[5:8]), whole[5:8], atol=1e-9)
    assert processor.transform(tracks()[:0]).shape == (0, processor.n_features_out_)


def test_genres_separate_what_they_should() -> None:
    out = DataProcessor(min_frequency=1, n_components=2).fit_transform(tracks().select("genres", "artist_id"))
    rock, pop = out[::2], out[1::2]
    within = max(np.ptp(rock[:, 0]), np.ptp(pop[:, 0]))
    assert abs(rock[:, 0].mean() - pop[:, 0].mean()) > 2 * within


def test_clone_params_and_output_containers() -> None:
    processor = DataProcessor(n_components=3, min_frequency=1).set_params(k=7)
    assert clone(processor).get_params() == processor.get_params()
    table = processor.set_output(transform="polars").fit_transform(tracks())
    assert isinstance(table, pl.DataFrame)
    assert table.columns == ["pca0", "pca1", "pca2"]


def test_grid_search_over_a_pipeline_of_polars_rows() -> None:
    search = GridSearchCV(
        make_pipeline(DataProcessor(min_frequency=1), LogisticRegression()),
        {"dataprocessor__n_components": [1, 4], "dataprocessor__weighting": ["tfidf", "multihot"]},
        cv=3,
        error_score="raise",
    )
    search.fit(tracks().drop("track_id"), np.where(np.arange(60) % 2, "pop", "rock"))
    assert search.best_score_ == 1.0


def test_pandas_tables_give_what_polars_tables_give() -> None:
    pd = pytest.importorskip("pandas")
    table = tracks().drop("embedding", "tags")
    frame = pd.DataFrame(table.to_dict(as_series=False))
    frame["released"] = pd.to_datetime(frame["released"])
    frame["genres"] = [np.array(genres) for genres in frame["genres"]]
    expected = DataProcessor(min_frequency=1).fit_transform(table)
    found = DataProcessor(min_frequency=1).set_output(transform="pandas").fit_transform(frame)
    assert isinstance(found, pd.DataFrame)
    np.testing.assert_allclose(found.to_numpy(), expected, atol=1e-9)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"k": 0}, "k is 0"),
        ({"n_components": -1}, "n_components is -1"),
        ({"weighting": "bm25"}, "'bm25' is unknown"),
    ],
)
def test_bad_settings_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        DataProcessor(**settings).fit(tracks())


def test_bad_tables_and_targets_are_named() -> None:
    with pytest.raises(BadInputError, match="3 rows and the target 2"):
        DataProcessor().fit(np.eye(3), [0, 1])
    with pytest.raises(BadInputError, match="'embedding' are not equally long"):
        DataProcessor().fit(pl.DataFrame({"embedding": [[1.0], [1.0, 2.0]]}))
    with pytest.raises(NotFittedError):
        DataProcessor().transform(np.eye(3))


cells = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True, width=32))
term_lists = st.one_of(st.none(), st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=4))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(cells, term_lists), min_size=1, max_size=15))
def test_any_table_gives_finite_numbers(rows: list[tuple[float | None, list[str | None] | None]]) -> None:
    table = pl.DataFrame(
        {"feature_a": [number for number, _ in rows], "tags": [terms for _, terms in rows]},
        schema={"feature_a": pl.Float64, "tags": pl.List(pl.String)},
    )
    processor = DataProcessor(min_frequency=1, n_components=3)
    out = processor.fit_transform(table)
    assert out.shape == (len(rows), processor.n_features_out_)
    assert np.isfinite(out).all()
