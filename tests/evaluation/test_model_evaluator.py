from __future__ import annotations

from collections.abc import Sequence
from math import log2
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from audotics.data.corpus import Corpus
from audotics.errors import BadInputError
from audotics.evaluation import EvaluationReport, ModelEvaluator, Task, head_metrics
from audotics.evaluation.segments import Segment
from audotics.retrieval.top_k import top_k

HETREC = Path(__file__).parents[3] / "shared" / "data" / "hetrec-lastfm-2k" / "split"


def frame(*pairs: tuple[str, str]) -> pl.DataFrame:
    return pl.DataFrame({"user_id": [u for u, _ in pairs], "track_id": [t for _, t in pairs]})


@pytest.fixture
def evaluator(small_corpus: Corpus) -> ModelEvaluator:
    """ann: c d and x (which nobody knows); bob: b and new; zoe (whom nobody knows): a."""
    test = frame(("ann", "c"), ("ann", "d"), ("ann", "x"), ("bob", "b"), ("bob", "new"), ("zoe", "a"))
    return ModelEvaluator(small_corpus, test, cutoffs=(2, 3), n_resamples=200)


# Rows ann, bob, zoe over a b c d new = 0 .. 4, x = 5.
GOOD = np.array([[2, 3, 0], [4, 1, 2], [1, 0, -1]], np.int32)
POOR = np.array([[4, 2, 0], [3, 2, 0], [-1, -1, -1]], np.int32)


def test_listeners_in_order(evaluator: ModelEvaluator) -> None:
    assert evaluator.user_ids == ("ann", "bob", "zoe")
    assert evaluator.user_index.tolist() == [0, 1, -1]
    assert (evaluator.k, evaluator.cutoffs, evaluator.headline) == (3, (2, 3), 3)


@pytest.mark.parametrize(
    ("cutoffs", "headline"), [((5, 10, 20, 100), 20), ((5, 10), 10), ((50, 100), 50), ((10, 5, 5), 10)]
)
def test_headline_is_the_largest_cutoff_up_to_twenty(
    small_corpus: Corpus, cutoffs: Sequence[int], headline: int
) -> None:
    found = ModelEvaluator(small_corpus, frame(("ann", "c")), cutoffs=cutoffs)
    assert found.headline == headline
    assert found.k == max(cutoffs)


@pytest.mark.parametrize("cutoffs", [(), (0, 5)])
def test_cutoffs_must_be_positive(small_corpus: Corpus, cutoffs: Sequence[int]) -> None:
    with pytest.raises(BadInputError, match="cutoffs must be positive"):
        ModelEvaluator(small_corpus, frame(("ann", "c")), cutoffs=cutoffs)


def test_values_by_hand(evaluator: ModelEvaluator) -> None:
    found = evaluator.evaluate("good", GOOD).metrics
    # ann has three test tracks, x among them though no list can hold it.
    assert found["recall@3"] == pytest.approx([2 / 3, 1.0, 1.0])
    ideal = 1 + 1 / log2(3) + 1 / 2
    assert found["ndcg@3"] == pytest.approx([(1 + 1 / log2(3)) / ideal, 1.0, 1 / log2(3)])
    assert found["mrr@2"] == pytest.approx([1, 1, 1 / 2])


def test_listeners_without_lists_score_zero(evaluator: ModelEvaluator) -> None:
    result = evaluator.evaluate("poor", POOR)
    assert result.n_without_lists == 1
    assert result.metrics["ndcg@3"][2] == 0.0
    report = evaluator.report([result])
    assert report.reference.metrics["recall@3"].mean == pytest.approx((1 / 3 + 0 + 0) / 3)
    assert report.reference.metrics["recall@3"].n == 3


def test_asking_equals_evaluating(evaluator: ModelEvaluator, small_corpus: Corpus) -> None:
    asked: list[tuple[tuple[str, ...], int]] = []

    def answer(user_ids: Sequence[str], k: int) -> list[list[str]]:
        asked.append((tuple(user_ids), k))
        return [[small_corpus.tracks.ids[t] for t in row if t >= 0] for row in GOOD]

    progress: list[int] = []
    result = evaluator.ask("good", answer, on_progress=progress.append)
    direct = evaluator.evaluate("good", GOOD)
    assert asked == [(("ann", "bob", "zoe"), 3)]
    assert progress == [3]
    assert result.catalogue == direct.catalogue
    assert all(
        np.array_equal(result.metrics[name], direct.metrics[name], equal_nan=True) for name in direct.metrics
    )
    assert result.seconds is not None
    assert direct.seconds is None


def test_listeners_are_asked_in_blocks(evaluator: ModelEvaluator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audotics.evaluation.evaluator.LISTENERS_PER_CALL", 2)
    blocks: list[Sequence[str]] = []

    def answer(user_ids: Sequence[str], k: int) -> list[list[str]]:
        blocks.append(user_ids)
        return [["d"] if user == "ann" else ["a"] for user in user_ids]

    result = evaluator.ask("mine", answer)
    assert blocks == [("ann", "bob"), ("zoe",)]
    assert result.metrics["hit_rate@3"].tolist() == [1, 0, 1]


def test_a_system_must_answer_everyone(evaluator: ModelEvaluator) -> None:
    with pytest.raises(BadInputError, match="mine: asked for 3 lists, got 1"):
        evaluator.ask("mine", lambda user_ids, k: [["a"]])


def test_longer_lists_than_needed_are_cut(evaluator: ModelEvaluator) -> None:
    longer = np.hstack([GOOD, np.array([[4], [3], [2]], np.int32)])
    found, expected = evaluator.evaluate("good", longer), evaluator.evaluate("good", GOOD)
    assert found.catalogue == expected.catalogue
    assert found.metrics["recall@3"].tolist() == expected.metrics["recall@3"].tolist()


def test_catalogue_values(evaluator: ModelEvaluator) -> None:
    catalogue = evaluator.evaluate("good", GOOD).catalogue
    assert catalogue["coverage@3"] == pytest.approx(5 / 5)
    # Shown: a twice, b twice, c twice, d and new once.
    assert catalogue["gini@3"] == pytest.approx((-4 + -2 + 0 + 2 * 2 + 4 * 2) / (5 * 8))
    # Heard by: a 3, b 2, c 1, d 1, new 0. ann and bob have histories, {a b} and {a}.
    lists, profiles = (1 + 1 + 3) / 3 + (0 + 2 + 1) / 3, (3 + 2) / 2 + 3
    assert catalogue["popularity_lift@3"] == pytest.approx(lists / profiles - 1)


def test_tracks_outside_the_vocabulary_may_be_recommended(evaluator: ModelEvaluator) -> None:
    lists = np.array([[5, 2, -1], [0, -1, -1], [0, -1, -1]], np.int32)
    result = evaluator.evaluate("knows x", lists)
    assert result.metrics["ndcg@2"][0] == pytest.approx(1.0)
    assert result.catalogue["coverage@3"] == pytest.approx(2 / 5)


def test_diversity_in_the_content_and_in_given_vectors(small_corpus: Corpus) -> None:
    test = frame(("ann", "c"))
    lists = np.array([[0, 1]], np.int32)  # both by artist X
    own = ModelEvaluator(small_corpus, test, cutoffs=(2,)).evaluate("m", lists)
    assert own.metrics["diversity@2"] == pytest.approx([0.0], abs=1e-6)
    given = ModelEvaluator(small_corpus, test, cutoffs=(2,), vectors=np.eye(5, dtype=np.float32))
    assert given.evaluate("m", lists).metrics["diversity@2"] == pytest.approx([1.0])


def test_no_content_no_diversity(make_corpus) -> None:
    corpus = make_corpus([("u", "a"), ("v", "b")])
    result = ModelEvaluator(corpus, frame(("u", "b")), cutoffs=(2,)).evaluate("m", np.array([[1]], np.int32))
    assert "diversity@2" not in result.metrics
    assert "novelty@2" in result.metrics


def test_segments_by_hand(evaluator: ModelEvaluator) -> None:
    report = evaluator.report([evaluator.evaluate("good", GOOD)])
    segments = {part.segment: part for part in report.reference.segments}
    assert Segment.DISCOVERIES not in segments, "every pair is one"
    cold = segments[Segment.COLD_LISTENERS]
    assert (cold.n_listeners, cold.n_pairs, cold.metrics["recall@3"].mean) == (1, 1, 1.0)
    # New tracks: ann's x (not found) and bob's new (found first): the rest of their tests does not count.
    new = segments[Segment.NEW_TRACKS]
    assert (new.n_listeners, new.n_pairs) == (2, 2)
    assert new.metrics["recall@3"].mean == pytest.approx((0 + 1) / 2)
    assert new.metrics["ndcg@3"].mean == pytest.approx((0 + 1) / 2)
    known = segments[Segment.KNOWN_TRACKS]
    assert (known.n_listeners, known.n_pairs) == (3, 4)
    assert known.metrics["recall@3"].mean == pytest.approx(1.0)


def test_repeats_and_discoveries_apart(small_corpus: Corpus) -> None:
    test = frame(("ann", "a"), ("ann", "c"), ("bob", "a"))
    evaluator = ModelEvaluator(small_corpus, test, task=Task.MIX, cutoffs=(2,), n_resamples=50)
    report = evaluator.report([evaluator.evaluate("own", np.array([[0, 1], [0, -1]], np.int32))])
    segments = {part.segment: part for part in report.reference.segments}
    assert segments[Segment.REPEATS].metrics["recall@2"].mean == 1.0
    assert segments[Segment.REPEATS].n_listeners == 2
    assert segments[Segment.DISCOVERIES].metrics["recall@2"].mean == 0.0
    assert segments[Segment.DISCOVERIES].n_listeners == 1
    assert report.test.task == "mix"


def test_description_of_the_test(evaluator: ModelEvaluator) -> None:
    test = evaluator.report([evaluator.evaluate("good", GOOD)]).test
    assert (test.task, test.n_listeners, test.n_cold_listeners) == (Task.DISCOVER, 3, 1)
    assert (test.n_pairs, test.n_unknown_pairs, test.n_heard_dropped, test.n_tracks) == (6, 1, 0, 5)


def test_comparisons(small_corpus: Corpus) -> None:
    users = [f"u{n}" for n in range(40)]
    test = frame(*((user, "c") for user in users))
    evaluator = ModelEvaluator(small_corpus, test, cutoffs=(2,))
    found = evaluator.evaluate("found", np.full((40, 1), 2, np.int32))
    half = evaluator.evaluate("half", np.where(np.arange(40) % 2, 2, 1)[:, None].astype(np.int32))
    same = evaluator.evaluate("same", np.full((40, 1), 2, np.int32))
    compared = {
        (entry.baseline, entry.metric): entry for entry in evaluator.compare([half, same, found], "found")
    }
    assert set(compared) == {(b, f"{m}@2") for b in ("half", "same") for m in ("ndcg", "recall", "hit_rate")}
    better = compared["half", "ndcg@2"]
    assert (better.difference, better.n, better.significant) == (0.5, 40, True)
    assert better.p_holm == pytest.approx(2 * better.p_value)
    equal = compared["same", "ndcg@2"]
    assert (equal.difference, equal.p_value, equal.significant) == (0.0, 1.0, False)
    only = evaluator.compare([found, half], "found", ["mrr@2"])
    assert [entry.metric for entry in only] == ["mrr@2"]


def test_report_puts_the_reference_first(evaluator: ModelEvaluator) -> None:
    good, poor = evaluator.evaluate("good", GOOD), evaluator.evaluate("poor", POOR)
    report = evaluator.report([poor, good], "good", learning_curves={"loss": [2.0, 1.0]})
    assert [system.name for system in report.systems] == ["good", "poor"]
    assert report.reference.name == "good"
    assert {entry.baseline for entry in report.comparisons} == {"poor"}
    assert report.learning_curves == {"loss": (2.0, 1.0)}
    assert evaluator.report([poor, good]).reference.name == "poor"
    assert evaluator.report([good]).comparisons == ()


def test_diverged_training_is_a_gap_in_its_curve(evaluator: ModelEvaluator, tmp_path: Path) -> None:
    curves = {"loss": [1.0, float("nan"), float("inf")]}
    report = evaluator.report([evaluator.evaluate("good", GOOD)], learning_curves=curves)
    assert report.learning_curves == {"loss": (1.0, None, None)}
    report.to_json(tmp_path / "report.json")
    assert EvaluationReport.from_json(tmp_path / "report.json") == report


def test_reports_that_cannot_be(evaluator: ModelEvaluator) -> None:
    good = evaluator.evaluate("good", GOOD)
    for results, reference in (([], None), ([good, good], None), ([good], "missing")):
        with pytest.raises(BadInputError):
            evaluator.report(results, reference)


def test_same_seed_same_report(evaluator: ModelEvaluator) -> None:
    good = evaluator.evaluate("good", GOOD)
    first, second = evaluator.report([good]), evaluator.report([good])
    assert first.systems == second.systems


def test_heads_travel_into_the_report(evaluator: ModelEvaluator) -> None:
    heads = {"play": head_metrics(np.array([0.9, 0.1]), np.array([1, 0]))}
    report = evaluator.report([evaluator.evaluate("good", GOOD, heads=heads, seconds=1.5)])
    assert report.reference.heads == heads
    assert report.reference.seconds == 1.5


@pytest.mark.skipif(not HETREC.exists(), reason="public data set is not at hand")
def test_popularity_on_a_public_split(make_corpus) -> None:
    """Popularity has few ties at the top, so its figures are the same everywhere."""
    train, test = (_read(HETREC, part) for part in ("train", "test"))
    corpus = make_corpus(train.select("user_id", "track_id").rows())
    evaluator = ModelEvaluator(corpus, test)
    popularity = np.bincount(corpus.interactions.track_index, minlength=corpus.n_tracks).astype(np.float32)
    scores = np.tile(popularity, (len(evaluator.user_ids), 1))
    heard = corpus.interactions.rows(evaluator.user_index)
    scores[heard.row_index, heard.track_index] = -np.inf
    metrics = evaluator.evaluate("popularity", top_k(scores, 100)).metrics
    for name, published in {
        "ndcg@10": 0.0763,
        "ndcg@20": 0.0947,
        "recall@20": 0.1024,
        "recall@100": 0.2515,
    }.items():
        assert metrics[name].mean() == pytest.approx(published, abs=5e-4), name


def _read(folder: Path, part: str) -> pl.DataFrame:
    (path,) = folder.glob(f"{part}.tsv*")
    return pl.read_csv(path, separator="\t", schema_overrides={"user_id": pl.String, "track_id": pl.String})
