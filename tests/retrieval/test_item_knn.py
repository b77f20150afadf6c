from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import sparse

from audotics.data.corpus import Corpus, build_corpus
from audotics.data.interactions import Interactions
from audotics.retrieval.item_item import largest_of_rows, top_products, without_diagonal
from audotics.retrieval.item_knn import ItemKNN, ItemKNNConfig, Weighting
from audotics.retrieval.protocol import Evidence
from contract.planted import events_table, no_users, planted_tracks
from contract.retriever_contract import asking, planted_corpus


def weights_of(retriever: ItemKNN, n_tracks: int) -> np.ndarray:
    """The learned weights as a dense matrix ``[n_tracks, n_tracks]``."""
    arrays = retriever.arrays()
    parts = (arrays["weights"], arrays["indices"], arrays["indptr"])
    return sparse.csr_matrix(parts, shape=(n_tracks, n_tracks)).toarray()


@pytest.fixture
def three_listeners() -> Corpus:
    """u1 plays a and b, u2 plays a and c, u3 plays a, b and c; nobody plays d."""
    rows = [("u1", "a"), ("u1", "b"), ("u2", "a"), ("u2", "c"), ("u3", "a"), ("u3", "b"), ("u3", "c")]
    events = events_table(pl.DataFrame(rows, schema=["user_id", "track_id"], orient="row"))
    tracks = planted_tracks().head(4).with_columns(pl.Series("track_id", ["a", "b", "c", "d"]))
    return build_corpus(events, tracks, no_users())


def test_cosine_by_hand(three_listeners: Corpus) -> None:
    config = ItemKNNConfig(weighting=Weighting.COSINE, shrinkage=0.0)
    weights = weights_of(ItemKNN(config).fit(three_listeners), 4)
    ab, bc = 2 / np.sqrt(3 * 2), 1 / 2
    expected = [[0, ab, ab, 0], [ab, 0, bc, 0], [ab, bc, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(weights, expected, rtol=1e-6)


def test_shrinkage_weakens_rare_tracks_more(three_listeners: Corpus) -> None:
    def pair(shrinkage: float) -> tuple[float, float]:
        config = ItemKNNConfig(weighting=Weighting.COSINE, shrinkage=shrinkage)
        weights = weights_of(ItemKNN(config).fit(three_listeners), 4)
        return weights[0, 1], weights[1, 2]

    (frequent, rare), (frequent_shrunk, rare_shrunk) = pair(0.0), pair(2.0)
    assert frequent_shrunk == pytest.approx(2 / np.sqrt(5 * 4))
    assert rare_shrunk / rare < frequent_shrunk / frequent < 1


def test_bm25_by_hand(three_listeners: Corpus) -> None:
    config = ItemKNNConfig(weighting=Weighting.BM25, k1=1.2, b=0.5)
    weights = weights_of(ItemKNN(config).fit(three_listeners), 4)
    mean = 7 / 3
    idf_b = np.log(3) - np.log(1 + 2)

    def saturation(length: int) -> float:
        return 2.2 / (1.2 * (0.5 + 0.5 * length / mean) + 1)

    # b and c meet in u3 alone; two listeners of three give no inverse frequency, so the floor shows.
    assert idf_b == 0.0
    assert weights[1, 2] == pytest.approx((saturation(3) * 1e-3) ** 2, rel=1e-5)
    assert weights[0, 1] == pytest.approx(1e-6 * (saturation(2) ** 2 + saturation(3) ** 2), rel=1e-5)


@pytest.mark.parametrize("weighting", list(Weighting))
def test_keeps_the_largest_of_the_full_matrix(weighting: Weighting) -> None:
    corpus = planted_corpus()
    config = ItemKNNConfig(weighting=weighting, play_strength=1.0)
    full = weights_of(
        ItemKNN(config.model_copy(update={"n_neighbours": corpus.n_tracks})).fit(corpus), corpus.n_tracks
    )
    cut = weights_of(ItemKNN(config.model_copy(update={"n_neighbours": 5})).fit(corpus), corpus.n_tracks)
    np.testing.assert_allclose(full, full.T, rtol=1e-5)
    # The track itself takes one of the six places that are searched wherever it is its own nearest.
    counts = np.count_nonzero(cut, axis=1)
    assert set(counts.tolist()) <= {5, 6}
    for row, kept in enumerate(cut):
        expected = np.sort(full[row])[::-1][: counts[row]]
        np.testing.assert_allclose(np.sort(kept[kept > 0])[::-1], expected, rtol=1e-5)


def test_scores_add_the_weights_of_the_history(three_listeners: Corpus) -> None:
    retriever = ItemKNN(ItemKNNConfig(weighting=Weighting.COSINE, shrinkage=0.0)).fit(three_listeners)
    weights = weights_of(retriever, 4)
    scores = retriever.score(asking(Interactions.from_histories([[1, 2]], 4)))
    np.testing.assert_allclose(scores[0], weights[1] + weights[2], rtol=1e-6)


def test_often_played_tracks_argue_louder(three_listeners: Corpus) -> None:
    config = ItemKNNConfig(weighting=Weighting.COSINE, shrinkage=0.0, history_strength=1.0)
    retriever = ItemKNN(config).fit(three_listeners)
    history = Interactions.from_histories([[1, 1, 1, 1, 2]], 4)
    (explanation,) = retriever.explain(asking(history), np.array([0], np.int32))
    assert explanation is not None
    assert (explanation.evidence, explanation.cause) == (Evidence.TRACK, 1)


def test_a_track_never_argues_for_itself(three_listeners: Corpus) -> None:
    retriever = ItemKNN().fit(three_listeners)
    assert not np.diag(weights_of(retriever, 4)).any()
    batch = asking(Interactions.from_histories([[3]], 4))
    assert not retriever.score(batch).any()
    assert retriever.explain(batch, np.array([3], np.int32)) == [None]


def test_without_diagonal_drops_the_diagonal_and_zeros() -> None:
    matrix = sparse.csr_matrix(np.array([[1.0, 0.0], [2.0, 3.0]], np.float32))
    matrix.data[1] = 0.0
    assert without_diagonal(matrix).nnz == 0


def test_largest_of_rows_looks_at_magnitude() -> None:
    matrix = sparse.csr_matrix(np.array([[1.0, -5.0, 2.0], [0.0, 0.0, 0.5]], np.float32))
    assert largest_of_rows(matrix, 2).toarray().tolist() == [[0.0, -5.0, 2.0], [0.0, 0.0, 0.5]]


def test_top_products_equal_the_full_product() -> None:
    rng = np.random.default_rng(0)
    left = sparse.random_array((20, 30), density=0.3, rng=rng, format="csr", dtype=np.float32)
    right = sparse.random_array((30, 25), density=0.3, rng=rng, format="csr", dtype=np.float32)
    full = (left @ right).toarray()
    kept = top_products(sparse.csr_matrix(left), sparse.csr_matrix(right), 4).toarray()
    for row, expected in zip(kept, full, strict=True):
        np.testing.assert_allclose(np.sort(row)[-4:], np.sort(expected)[-4:], rtol=1e-5)
    assert np.count_nonzero(kept, axis=1).max() == 4


@pytest.mark.parametrize("n", [1, 50, 5000])
def test_largest_of_rows_are_the_first_of_a_stable_sort(n: int) -> None:
    rng = np.random.default_rng(4)
    dense = rng.integers(-30, 31, (9, 4000)) * (rng.random((9, 4000)) < rng.random((9, 1)))
    matrix = sparse.csr_matrix(dense.astype(np.float32))
    kept = largest_of_rows(matrix, n)
    for row in range(9):
        part = matrix[row]
        order = np.sort(np.argsort(-np.abs(part.data), kind="stable")[:n])
        assert kept[row].indices.tolist() == part.indices[order].tolist()
        assert kept[row].data.tolist() == part.data[order].tolist()
