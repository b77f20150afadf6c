from __future__ import annotations

import numpy as np
import pytest

from audotics.data.compressed import Compressed
from audotics.domain import FloatArray
from audotics.retrieval import factored, vector_index
from audotics.retrieval.factored import FactoredRetriever
from audotics.retrieval.ials import IALS, IALSConfig
from audotics.retrieval.inner_products import InnerProducts
from audotics.retrieval.top_k import top_k
from audotics.retrieval.vector_index import LEAST_RECALL, VectorIndex
from contract.retriever_contract import everyone, planted_corpus

N_VECTORS = 6000


@pytest.fixture(autouse=True)
def _small_catalogues_are_indexed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_index, "LEAST_VECTORS", 1000)


def few_axes(seed: int = 0, n: int = N_VECTORS, dim: int = 24) -> FloatArray:
    """Vectors that differ most along a few axes."""
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(np.random.default_rng(7).normal(size=(dim, dim)))
    vectors: FloatArray = ((rng.normal(size=(n, dim)) * 0.5 ** np.arange(dim)) @ turn).astype(np.float32)
    return vectors


def queries(seed: int = 1) -> FloatArray:
    return few_axes(0)[np.random.default_rng(seed).choice(N_VECTORS, 80, replace=False)]


@pytest.fixture(scope="module")
def index() -> VectorIndex:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vector_index, "LEAST_VECTORS", 1000)
        patch.setattr(vector_index, "CHOICES", ((2, 400), (6, 400), (12, 1000)))
        built = VectorIndex.built(few_axes(), queries())
    assert built is not None
    return built


def test_the_short_forms_are_projections_on_the_leading_axes(index: VectorIndex) -> None:
    vectors = few_axes()
    np.testing.assert_allclose(index.short, (vectors @ index.axes).T, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(index.axes.T @ index.axes, np.eye(index.axes.shape[1]), atol=1e-5)
    kept = np.square(index.short).sum() / np.square(vectors).sum()
    assert kept > 0.8


def test_recall_on_other_queries_is_what_was_measured(index: VectorIndex) -> None:
    asked = queries(seed=9)
    best = top_k(asked @ few_axes().T, 200)
    found = [np.isin(row, index.near(query)).mean() for row, query in zip(best, asked, strict=True)]
    assert index.recall >= LEAST_RECALL
    assert np.mean(found) == pytest.approx(index.recall, abs=0.02)


def test_about_as_many_as_wanted_are_looked_at_in_order(index: VectorIndex) -> None:
    for query in queries():
        near = index.near(query)
        assert (np.diff(near) > 0).all()
        assert 0.7 * index.n_kept < len(near) < 2 * index.n_kept
        assert len(index.near(query, 500)) > len(near)
    assert len(index.near(queries()[0], N_VECTORS)) == N_VECTORS


def test_of_a_query_without_a_vector_the_first_are_looked_at(index: VectorIndex) -> None:
    nothing = np.zeros(24, np.float32)
    assert index.near(nothing, 3).tolist() == list(range(index.n_kept + 3))
    alone = InnerProducts(nothing[None], few_axes(), index)
    assert alone.near(0).tolist() == list(range(index.n_kept))
    assert not alone.at(0, alone.near(0)).any()


def test_no_index_where_no_axis_is_strong() -> None:
    rng = np.random.default_rng(0)
    scattered = rng.normal(size=(9000, 64)).astype(np.float32)
    assert VectorIndex.built(scattered, rng.normal(size=(50, 64)).astype(np.float32)) is None


def test_no_index_of_few_vectors_or_without_queries() -> None:
    assert VectorIndex.built(few_axes(n=900), queries()) is None
    assert VectorIndex.built(few_axes(), queries()[:0]) is None


def test_arrays_make_an_equal_index(index: VectorIndex) -> None:
    again = VectorIndex.of({**index.arrays(), "other": np.zeros(1)})
    assert again is not None
    np.testing.assert_array_equal(again.near(queries()[0]), index.near(queries()[0]))
    assert again.recall == pytest.approx(index.recall)
    assert VectorIndex.of({"other": np.zeros(1)}) is None


def products(index: VectorIndex, seed: int, *, with_entries: bool) -> InnerProducts:
    rng = np.random.default_rng(seed)
    asked = queries(seed)[:5]
    entries = None
    if with_entries:
        columns = [rng.permutation(N_VECTORS)[: rng.integers(0, 40)].astype(np.int32) for _ in asked]
        starts = np.cumsum([0, *(len(row) for row in columns)])
        entries = Compressed(rng.random(starts[-1], np.float32), np.concatenate(columns), starts, N_VECTORS)
    return InnerProducts(asked, few_axes(), index, entries)


@pytest.mark.parametrize("with_entries", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_scores_of_some_tracks_are_those_of_all(index: VectorIndex, seed: int, with_entries: bool) -> None:
    scores = products(index, seed, with_entries=with_entries)
    whole = scores.toarray()
    assert whole.shape == scores.shape
    rng = np.random.default_rng(seed)
    for row in range(5):
        tracks = np.sort(rng.choice(N_VECTORS, 300, replace=False)).astype(np.int32)
        np.testing.assert_allclose(scores.at(row, tracks), whole[row, tracks], rtol=1e-4, atol=1e-5)
        near = scores.near(row)
        assert (np.diff(near) > 0).all()
        if scores.entries is not None:
            assert np.isin(scores.entries.part(row, row + 1).indices, near).all()
    np.testing.assert_allclose(scores.part(2, 4).toarray(), whole[2:4], rtol=1e-5, atol=1e-5)


def test_a_retriever_of_a_large_catalogue_has_an_index(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = planted_corpus()
    batch = everyone(corpus)
    exact = IALS(IALSConfig(rank=8)).fit(corpus)
    monkeypatch.setattr(factored, "LEAST_VECTORS", 10)
    monkeypatch.setattr(vector_index, "LEAST_VECTORS", 10)
    monkeypatch.setattr(vector_index, "JUDGED_BEST", 3)
    monkeypatch.setattr(vector_index, "CHOICES", ((4, corpus.n_tracks // 4),))
    monkeypatch.setattr(vector_index, "LEAST_RECALL", 0.5)
    indexed = IALS(IALSConfig(rank=8)).fit(corpus)
    assert isinstance(exact, FactoredRetriever)
    assert isinstance(exact.compact_scores(batch), np.ndarray)
    compact = indexed.compact_scores(batch)
    assert isinstance(compact, InnerProducts)
    np.testing.assert_allclose(compact.toarray(), exact.score(batch), rtol=1e-4, atol=1e-5)
    assert indexed.arrays()["index_recall"][0] >= 0.5
    again = IALS.from_arrays(indexed.config.model_dump(), indexed.arrays())
    assert isinstance(again.compact_scores(batch), InnerProducts)
