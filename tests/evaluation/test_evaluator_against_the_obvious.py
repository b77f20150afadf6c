"""The whole evaluator against a slow one of dictionaries and sets, and against what must not matter."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from math import log2, sqrt

import numpy as np
import polars as pl
import pytest

from audotics.data.corpus import Corpus
from audotics.evaluation import EvaluationReport, ModelEvaluator, Task
from audotics.evaluation.segments import Segment

Pairs = list[tuple[str, str]]
Lists = dict[str, list[str]]
CUTOFFS = (1, 3, 7)


@dataclass
class Situation:
    """Training pairs, test pairs, an artist per catalogue track and a list per listener."""

    train: Pairs
    test: Pairs
    artists: dict[str, str]
    lists: Lists


def draw(seed: int) -> Situation:
    """Listeners 0-7 in training, 0-9 in the test; tracks 0-11 in training, 12-14 new, 15-16 unknown."""
    rng = np.random.default_rng(seed)
    users, tracks = [f"u{n}" for n in range(10)], [f"t{n:02}" for n in range(17)]
    train = [
        (user, tracks[t]) for user in users[:8] for t in rng.choice(12, rng.integers(1, 7), replace=False)
    ]
    test = [(users[rng.integers(10)], tracks[rng.integers(17)]) for _ in range(40)]
    artists = {track: f"artist {rng.integers(3)}" for track in tracks[:15]}
    lists = {user: [tracks[t] for t in rng.permutation(15)[: rng.integers(0, 9)]] for user in users}
    return Situation(train, test, artists, lists)


class Obvious:
    """Every definition once more, one listener and one track at a time."""

    def __init__(self, situation: Situation, task: Task) -> None:
        self.situation = situation
        self.heard: dict[str, set[str]] = defaultdict(set)
        for user, track in situation.train:
            self.heard[user].add(track)
        self.heard_by = Counter(track for user in self.heard for track in self.heard[user])
        self.wanted: dict[str, set[str]] = defaultdict(set)
        for user, track in situation.test:
            heard = track in self.heard.get(user, set())
            if task is Task.MIX or heard == (task is Task.FAMILIAR):
                self.wanted[user].add(track)
        self.users = sorted(self.wanted)

    def ndcg(self, user: str, wanted: set[str], cutoff: int) -> float:
        found = [r for r, t in enumerate(self.situation.lists[user][:cutoff], 1) if t in wanted]
        ideal = range(1, min(cutoff, len(wanted)) + 1)
        return sum(1 / log2(r + 1) for r in found) / sum(1 / log2(r + 1) for r in ideal)

    def recall(self, user: str, wanted: set[str], cutoff: int) -> float:
        return len(wanted & set(self.situation.lists[user][:cutoff])) / len(wanted)

    def mean(self, metric: Callable[[str, set[str], int], float], cutoff: int) -> float:
        return float(np.mean([metric(user, self.wanted[user], cutoff) for user in self.users]))

    def mean_on(self, kind: Callable[[str, str], bool], cutoff: int) -> float | None:
        """Mean recall over listeners with test tracks of a kind, counting those alone."""
        own = {user: {t for t in self.wanted[user] if kind(user, t)} for user in self.users}
        values = [self.recall(user, wanted, cutoff) for user, wanted in own.items() if wanted]
        return float(np.mean(values)) if values else None

    def novelty(self, cutoff: int) -> float:
        n = len(self.heard)
        values = []
        for user in self.users:
            top = self.situation.lists[user][:cutoff]
            if top:
                values.append(np.mean([-log2((self.heard_by[t] + 1) / (n + 1)) for t in top]))
        return float(np.mean(values))

    def coverage(self, cutoff: int) -> float:
        shown = {t for user in self.users for t in self.situation.lists[user][:cutoff]}
        return len(shown) / len(self.situation.artists)

    def share(self, kind: Callable[[str, str], bool], cutoff: int) -> float:
        """Share of the places that go to tracks of a kind."""
        shown = [kind(user, t) for user in self.users for t in self.situation.lists[user][:cutoff]]
        return sum(shown) / max(len(shown), 1)

    def diversity(self, cutoff: int) -> float | None:
        """Where an artist is all that is known, two tracks are alike if it is the same one."""
        artists, values = self.situation.artists, []
        shared = {artist for artist, n in Counter(artists.values()).items() if n > 1}
        for user in self.users:
            top = [t for t in self.situation.lists[user][:cutoff] if artists[t] in shared]
            pairs = list(combinations(top, 2))
            if pairs:
                values.append(np.mean([artists[a] != artists[b] for a, b in pairs]))
        return float(np.mean(values)) if values else None


Make = Callable[..., Corpus]


def corpus_of(situation: Situation, make_corpus: Make) -> Corpus:
    catalogue = {"track_id": list(situation.artists), "artist_id": list(situation.artists.values())}
    return make_corpus(situation.train, catalogue=catalogue)


def report_of(situation: Situation, task: Task, make_corpus: Make) -> EvaluationReport:
    table = pl.DataFrame(situation.test, schema=["user_id", "track_id"], orient="row")
    corpus = corpus_of(situation, make_corpus)
    evaluator = ModelEvaluator(corpus, table, task=task, cutoffs=CUTOFFS, n_resamples=20)
    return evaluator.report([evaluator.ask("m", lambda users, k: [situation.lists[user] for user in users])])


@pytest.fixture(scope="module", params=range(6))
def seed(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture(scope="module", params=list(Task))
def task(request: pytest.FixtureRequest) -> Task:
    return Task(request.param)


@pytest.fixture(scope="module")
def both(seed: int, task: Task, make_corpus: Make) -> tuple[EvaluationReport, Obvious]:
    situation = draw(seed)
    return report_of(situation, task, make_corpus), Obvious(situation, task)


def test_the_same_listeners_and_pairs(both: tuple[EvaluationReport, Obvious]) -> None:
    report, obvious = both
    assert report.test.n_listeners == len(obvious.users)
    assert report.test.n_pairs == sum(map(len, obvious.wanted.values()))
    assert report.test.n_cold_listeners == sum(user not in obvious.heard for user in obvious.users)
    unknown = [t for wanted in obvious.wanted.values() for t in wanted if t not in obvious.situation.artists]
    assert report.test.n_unknown_pairs == len(unknown)


def test_the_same_accuracy(both: tuple[EvaluationReport, Obvious]) -> None:
    report, obvious = both
    for cutoff in CUTOFFS:
        metrics = report.reference.metrics
        assert metrics[f"ndcg@{cutoff}"].mean == pytest.approx(obvious.mean(obvious.ndcg, cutoff))
        assert metrics[f"recall@{cutoff}"].mean == pytest.approx(obvious.mean(obvious.recall, cutoff))


def test_the_same_lists(both: tuple[EvaluationReport, Obvious]) -> None:
    report, obvious = both
    at = max(CUTOFFS)
    assert report.reference.metrics[f"novelty@{at}"].mean == pytest.approx(obvious.novelty(at))
    assert report.reference.catalogue[f"coverage@{at}"] == pytest.approx(obvious.coverage(at))
    assert report.reference.metrics[f"diversity@{at}"].mean == pytest.approx(obvious.diversity(at), abs=1e-6)
    new = obvious.share(lambda user, track: track not in obvious.heard_by, at)
    assert report.reference.catalogue[f"new_track_share@{at}"] == pytest.approx(new)
    repeats = obvious.share(lambda user, track: track in obvious.heard.get(user, set()), at)
    assert report.reference.catalogue[f"repeat_share@{at}"] == pytest.approx(repeats)
    without = sum(not obvious.situation.lists[user] for user in obvious.users)
    assert report.reference.n_without_lists == without


@pytest.mark.parametrize(
    "segment", [Segment.NEW_TRACKS, Segment.KNOWN_TRACKS, Segment.REPEATS, Segment.DISCOVERIES]
)
def test_the_same_on_kinds_of_tracks(both: tuple[EvaluationReport, Obvious], segment: Segment) -> None:
    report, obvious = both
    kinds: dict[Segment, Callable[[str, str], bool]] = {
        Segment.NEW_TRACKS: lambda user, track: track not in obvious.heard_by,
        Segment.KNOWN_TRACKS: lambda user, track: track in obvious.heard_by,
        Segment.REPEATS: lambda user, track: track in obvious.heard.get(user, set()),
        Segment.DISCOVERIES: lambda user, track: track not in obvious.heard.get(user, set()),
    }
    at = max(CUTOFFS)
    found = {part.segment: part.metrics[f"recall@{at}"].mean for part in report.reference.segments}
    expected = obvious.mean_on(kinds[segment], at)
    if segment in found:
        assert found[segment] == pytest.approx(expected)
    else:
        assert expected is None or expected == pytest.approx(report.reference.metrics[f"recall@{at}"].mean)


def values(report: EvaluationReport) -> dict[str, float]:
    found = {name: interval.mean for name, interval in report.reference.metrics.items()}
    return found | report.reference.catalogue


def test_order_of_rows_does_not_matter(seed: int, task: Task, make_corpus: Make) -> None:
    situation = draw(seed)
    turned = Situation(situation.train[::-1], situation.test[::-1], situation.artists, situation.lists)
    found, expected = (report_of(which, task, make_corpus) for which in (turned, situation))
    assert found.test == expected.test
    assert found.reference.metrics == expected.reference.metrics, "the intervals too"
    assert found.reference.segments == expected.reference.segments
    assert found.reference.catalogue == expected.reference.catalogue


def test_names_do_not_matter(seed: int, task: Task, make_corpus: Make) -> None:
    situation = draw(seed)

    def user(name: str) -> str:  # turns their order around
        return f"listener {99 - int(name[1:])}"

    def track(name: str) -> str:
        return f"track {99 - int(name[1:])}"

    renamed = Situation(
        [(user(u), track(t)) for u, t in situation.train],
        [(user(u), track(t)) for u, t in situation.test],
        {track(t): artist for t, artist in situation.artists.items()},
        {user(u): [track(t) for t in tracks] for u, tracks in situation.lists.items()},
    )
    expected = values(report_of(situation, task, make_corpus))
    assert values(report_of(renamed, task, make_corpus)) == pytest.approx(expected)


def test_listeners_outside_the_test_do_not_matter(seed: int, task: Task, make_corpus: Make) -> None:
    situation = draw(seed)
    before = values(report_of(situation, task, make_corpus))
    situation.lists["stranger"] = ["t00"]
    assert values(report_of(situation, task, make_corpus)) == before


def test_a_better_system_wins_significantly(make_corpus: Make) -> None:
    """Planted truth: each listener wants five tracks; systems know them, half know them, or guess."""
    rng = np.random.default_rng(1)
    n, n_tracks = 120, 60
    wanted = np.argsort(rng.random((n, n_tracks)), axis=1)[:, :5]
    tracks = [f"t{t:02}" for t in range(n_tracks)]
    corpus = make_corpus([("somebody", track) for track in tracks])
    test = pl.DataFrame(
        {
            "user_id": [f"u{u:03}" for u in range(n) for _ in range(5)],
            "track_id": [tracks[t] for t in wanted.ravel()],
        }
    )
    evaluator = ModelEvaluator(corpus, test, cutoffs=(10,), n_resamples=500)

    def lists(knowledge: float) -> np.ndarray:
        scores = rng.random((n, n_tracks))
        known = rng.random((n, 5)) < knowledge
        np.put_along_axis(scores, wanted, np.take_along_axis(scores, wanted, 1) + known, axis=1)
        return np.argsort(-scores, axis=1)[:, :10].astype(np.int32)

    results = [
        evaluator.evaluate(name, lists(share)) for name, share in (("guess", 0), ("half", 0.5), ("all", 1))
    ]
    report = evaluator.report(results, "all")
    means = [report.system(name).metrics["ndcg@10"].mean for name in ("guess", "half", "all")]
    assert means[0] < 0.15 < means[1] < 0.8 < means[2]
    assert means[2] == pytest.approx(1.0)
    assert all(
        entry.significant and entry.low > 0 for entry in report.comparisons if entry.metric == "ndcg@10"
    )


def test_guessing_systems_are_told_apart_no_more_than_chance_allows(make_corpus: Make) -> None:
    rng = np.random.default_rng(2)
    corpus = make_corpus([("somebody", f"t{t:02}") for t in range(40)])
    test = pl.DataFrame(
        {
            "user_id": [f"u{u % 60}" for u in range(240)],
            "track_id": [f"t{t:02}" for t in rng.integers(0, 40, 240)],
        }
    )
    evaluator = ModelEvaluator(corpus, test, cutoffs=(10,), n_resamples=200)
    n = len(evaluator.user_ids)
    guesses = [
        evaluator.evaluate(f"guess {g}", np.argsort(rng.random((n, 40)), axis=1)[:, :10].astype(np.int32))
        for g in range(31)
    ]
    alarms = [entry for entry in evaluator.compare(guesses, "guess 0", ["ndcg@10"]) if entry.p_value < 0.05]
    corrected = [entry for entry in alarms if entry.significant]
    assert len(alarms) <= 12, "one reference against thirty: its own luck is in all of them"
    assert len(corrected) <= 1
    expected = sum(1 / log2(r + 1) for r in range(1, 11)) * 4 / 40 / sum(1 / log2(r + 1) for r in range(1, 5))
    means = [float(guess.metrics["ndcg@10"].mean()) for guess in guesses]
    assert np.mean(means) == pytest.approx(expected, abs=5 * np.std(means) / sqrt(len(means)) + 0.01)
