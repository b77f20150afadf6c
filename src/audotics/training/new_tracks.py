"""Learning the way to new tracks, from known ones in disguise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from audotics.data.corpus import Corpus
from audotics.domain import IndexArray
from audotics.features.catalogue import album_keys, artist_keys, owner_codes
from audotics.ranking.calibration import fit_sigmoid, sigmoid
from audotics.ranking.logistic import LogisticRanker
from audotics.ranking.protocol import HEADS, RankingExamples
from audotics.recommender.candidates import CandidateGenerator, blocks
from audotics.recommender.new_tracks import NewTracks
from audotics.recommender.ranking_features import FeatureAssembler
from audotics.retrieval.stand_ins import StandIns
from audotics.training.fold import Fold, Roles
from audotics.training.lists import joined, labels_of
from audotics.training.rankers import has_hits

DISGUISED_SHARE = 0.15
"""Share of the releases whose tracks are made to look new."""

MOST_DISGUISED = (1000, 300)
"""Most listeners, of those that teach and of those that stop, who are asked about disguised tracks."""

PRIOR_PLAYS = 5.0
"""Plays of new tracks, as many as expected, that are taken as seen before any is counted."""


def learn_new_tracks(
    asked: Roles[Fold], generator: CandidateGenerator, assembler: FeatureAssembler, seed: int
) -> NewTracks | None:
    """Learn to rank tracks that nobody has played, and how likely they are to be played.

    Releases are disguised: histories, popularity and play statistics forget them, and their scores are lent.
    They go as a whole, as they come: no track of an album stands in for another of it. The ranker learns
    from these, which are many and of every kind. Tracks that truly have no visible play come from a handful
    of releases, and what makes one of them a success would be learned for a rule; they tell how often new
    tracks are played, which is less where events are hidden at random (there they are rare because they are
    unloved).

    Args:
        asked: Queries and answers of listeners by role.
        generator: Over retrievers that know what is visible.
        assembler: Makes the features, with its scaling.
        seed: Seed of the disguise.

    Returns:
        None where content is too thin to tell of new tracks, or nobody played any.
    """
    visible = asked.teach.visible
    stand_ins = StandIns.of(visible)
    disguised = _disguised(asked, generator, assembler, seed)
    if disguised is None:
        return None
    taught, held = disguised
    ranker = LogisticRanker(seed).fit(taught, held)
    # The judges' answers stay unseen until they judge.
    new = joined(*(_lists(part, generator, assembler, stand_ins) for part in asked[:3]))
    return NewTracks(stand_ins, ranker, _at_the_rate_of(_platt(ranker, held), ranker, new))


def _disguised(
    asked: Roles[Fold], generator: CandidateGenerator, assembler: FeatureAssembler, seed: int
) -> tuple[RankingExamples, RankingExamples] | None:
    """Lists of disguised tracks that teach, and that stop; None where nothing can be learned of them."""
    visible = asked.teach.visible
    rng = np.random.default_rng(seed)
    owner = _releases(visible)
    played = np.unique(visible.interactions.track_index)
    releases = np.unique(owner[played])
    chosen = rng.permutation(releases)[: max(1, round(DISGUISED_SHARE * len(releases)))]
    tracks = played[np.isin(owner[played], chosen)]
    unaware = visible.keep(~np.isin(visible.events["track_index"].to_numpy(), tracks))
    stand_ins = StandIns.of_tracks(unaware, tracks)
    if not stand_ins.n_new:
        return None
    features = assembler.refitted(unaware)
    taught, held = (
        _lists(_unaware(_first(part, most), tracks), generator, features, stand_ins)
        for part, most in zip((asked.teach, asked.stop), MOST_DISGUISED, strict=True)
    )
    return (taught, held) if has_hits(taught) and has_hits(held) else None


def _first(fold: Fold, most: int) -> Fold:
    return fold.take(np.arange(min(most, fold.batch.size), dtype=np.int32))


def _releases(corpus: Corpus) -> IndexArray:
    """Number of each track's release ``[n_tracks]``: its album, else its artist, else itself."""
    table = corpus.track_table
    album, artist = owner_codes(album_keys(table)), owner_codes(artist_keys(table))
    n = corpus.n_tracks
    own = np.arange(n, dtype=np.int32)
    return np.where(album >= 0, album, np.where(artist >= 0, n + artist, 2 * n + own)).astype(np.int32)


def _unaware(fold: Fold, tracks: IndexArray) -> Fold:
    """The same queries of listeners who have not heard the tracks; who had in truth is not asked of them."""
    histories = fold.batch.histories
    theirs = np.isin(histories.track_index, tracks)
    heard = histories.where(theirs)
    return replace(
        fold,
        batch=replace(fold.batch, histories=histories.where(~theirs)),
        out_of_bounds=tuple(np.split(heard.track_index, heard.indptr[1:-1])),
    )


def _lists(
    fold: Fold, generator: CandidateGenerator, assembler: FeatureAssembler, stand_ins: StandIns
) -> RankingExamples:
    """Lists of new tracks alone, with features that compare them with known candidates."""
    parts = []
    for start, stop in blocks(fold.batch.size, fold.corpus.n_tracks):
        part = fold.take(np.arange(start, stop, dtype=np.int32))
        candidates, n_known = generator.generate_with_new(part.batch, part.allowed, stand_ins)
        inputs = assembler.assemble(part.batch, candidates).slots(slice(n_known, None))
        inputs = replace(inputs, features=inputs.features.copy())
        labels = labels_of(part.hidden, inputs.track_index, HEADS[:1])
        parts.append(RankingExamples(inputs, labels, HEADS[:1]))
    return joined(*parts)


def _at_the_rate_of(
    level: tuple[float, float], ranker: LogisticRanker, lists: RankingExamples
) -> tuple[float, float]:
    """The level with its intercept moved so that chances add up to the plays of truly new tracks.

    Few plays move it little, and no truly new track not at all. Chances are small, so that their odds are
    about the chances themselves.
    """
    slope, intercept = level
    present = lists.inputs.present
    scores = ranker.score(lists.inputs)[present].astype(np.float64)
    expected = float(sigmoid(slope * scores + intercept).sum())
    played = float((lists.labels[..., 0][present] > 0).sum())
    return slope, intercept + float(np.log((played + PRIOR_PLAYS) / (expected + PRIOR_PLAYS)))


def _platt(ranker: LogisticRanker, examples: RankingExamples) -> tuple[float, float]:
    present = examples.inputs.present
    return fit_sigmoid(ranker.score(examples.inputs)[present], examples.labels[..., 0][present] > 0)
