"""One version as a server holds it: its recommender, and what answers when the recommender cannot."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np

from audotics.domain import PADDING, Context, FloatArray, IndexArray, Mode, Query, Slate
from audotics.errors import DamagedError
from audotics.ranking.batches import Runtime
from audotics.ranking.runtimes.choice import is_opened
from audotics.recommender import bundle
from audotics.recommender.reactions import Reactions
from audotics.recommender.recommender import Recommender
from audotics.recommender.votes import by_votes
from audotics.registry import Registry
from audotics.slate.config import SlateConfig

N_PER_COUNTRY = 1000
"""Popular tracks kept ready for each country."""


Runtimes: TypeAlias = Callable[[Path, str], Runtime | None]
"""What scores with the deep rankers of a version, from its folder and id."""


def in_process(folder: Path, version: str) -> None:
    """LiteRT."""


@dataclass(frozen=True)
class Served:
    """A version that answers.

    Args:
        recommender: Candidates, ranking and slates.
        version: Its id.
        trained_until: Events after this are not in its histories.
        popular: ``[n]`` indices of tracks, the most played first.
        popular_in: The same by country, for the countries that training told apart.
        overlay: Place in the journal of the last live track that the recommender knows, see `LiveTracks`.
        before: `cache_version` before that track.
    """

    recommender: Recommender
    version: str
    trained_until: datetime
    popular: IndexArray
    popular_in: dict[str, IndexArray]
    overlay: int = 0
    before: str = ""

    @property
    def bare(self) -> Recommender:
        """The recommender as it was trained, without live tracks."""
        return self.recommender.bare

    @property
    def cache_version(self) -> str:
        """Under what name answers are cached: a live track ends the life of those that cannot hold it."""
        return f"{self.version}+{self.overlay}" if self.overlay else self.version

    @classmethod
    def load(
        cls, models_dir: Path, reference: str, rules: SlateConfig, runtimes: Runtimes = in_process
    ) -> Served:
        """Verify the checksums of what a server opens of a version, then load it.

        Args:
            models_dir: Folder of versions.
            reference: A version, an alias or ``latest``.
            rules: Rules of every slate.
            runtimes: What scores with the deep rankers of a version.

        Raises:
            BadInputError: There is no such version.
            DamagedError: The version is not as it was published.
        """
        registry = Registry(models_dir)
        version = registry.resolve(reference)
        folder = registry.folder(version)
        runtime = runtimes(folder, version)
        manifest = registry.verify(version, partial(is_opened, runtime=runtime))
        recommender = bundle.load(folder, manifest.version, runtime).with_rules(rules)
        ids = json.loads((folder / "fallback" / "popular.json").read_text(encoding="utf-8"))
        until = manifest.dataset.ends_at or manifest.created_at
        return cls(
            recommender,
            manifest.version,
            until,
            recommender.tracks.indices(ids),
            _popular_by_country(recommender),
        )

    def answer_first(self) -> None:
        """Make what the first answer makes; it also shows that there are answers at all.

        Raises:
            DamagedError: Its scores are no numbers.
            UnavailableError: What scores is away just now.
        """
        known = self.bare.users.ids[:1]
        at = datetime.now(UTC)
        queries = [Query(user_id=user_id, context=Context(at=at)) for user_id in (*known, None)]
        self.popular_overall(queries[-1], {})
        for slate in self.recommender.recommend(queries):
            _check_scores(slate, self.version)

    def answer_on_all_rungs(self) -> None:
        """Answer a listener with a history, heard tracks wanted and unwanted, in every way there is.

        What the first answers of a rung make is then made.

        Raises:
            DamagedError: Its scores are no numbers.
            UnavailableError: What scores is away just now.
        """
        heard = tuple(self.bare.tracks.ids[track] for track in self.popular[:3].tolist())
        at = Context(at=datetime.now(UTC))
        asked = Query(user_id=next(iter(self.bare.users.ids), None), context=at)
        for query in (asked, replace(asked, mode=Mode.MIX), Query(history=heard, context=at)):
            well_formed(self, query, {})
        self.by_votes(asked, {})
        self.favourites(asked, {})
        self.popular_here(asked, {})

    def by_votes(self, query: Query, since: Reactions) -> Slate | None:
        """What the retrievers say without the ranker."""
        (slate,) = by_votes(self.recommender).recommend([query], since)
        return slate if slate.track_ids else None

    def favourites(self, query: Query, since: Reactions) -> Slate | None:
        """The listener's own most played tracks, then popular ones by the same artists; None for strangers.

        In discover mode only the latter, which they have not heard.
        """
        recommender = self.recommender
        user = recommender.users.index(query.user_id)
        if user == PADDING:
            return None
        history = recommender.histories.rows(np.array([user]))
        own = history.track_index[np.lexsort((-history.last_at, -history.plays))]
        artists = recommender.catalogue.artist[own]
        by_them = self.popular[np.isin(recommender.catalogue.artist[self.popular], artists[artists >= 0])]
        fresh = by_them[~np.isin(by_them, own)]
        tracks = fresh if query.mode == "discover" else np.concatenate([own, fresh])
        reasons = np.where(np.isin(tracks, own), "you have played this", "more from artists you play")
        slate = self._slate(query, since, tracks, reasons.tolist(), "favourites")
        return slate if slate.track_ids else None

    def popular_here(self, query: Query, since: Reactions) -> Slate | None:
        """What is played most in the country of the request; None where it has no list."""
        tracks = self.popular_in.get(query.context.country or "")
        if tracks is None:
            return None
        return self._slate(query, since, tracks, ["popular in your country"] * len(tracks), "popularity")

    def popular_overall(self, query: Query, since: Reactions) -> Slate:
        """What is played most; needs nothing but memory."""
        return self._slate(
            query, since, self.popular, ["popular with many listeners"] * len(self.popular), "popularity"
        )

    def _slate(
        self, query: Query, since: Reactions, tracks: IndexArray, reasons: Sequence[str], source: str
    ) -> Slate:
        """The first ``k`` tracks that may appear: what is blocked stays out of these lists, too."""
        ids = self.recommender.tracks.ids
        (unwanted,) = self.recommender.allowed([query], since).excluded
        kept = np.flatnonzero(~np.isin(tracks, unwanted))[: query.k].tolist()
        # Scores of a list that nobody scored: they only keep its order.
        scores: FloatArray = np.linspace(1.0, 0.0, len(kept), endpoint=False, dtype=np.float32)
        return Slate(
            user_id=query.user_id,
            track_ids=tuple(ids[tracks[place]] for place in kept),
            scores=scores,
            sources=(source,) * len(kept),
            reasons=tuple(reasons[place] for place in kept),
            propensities=np.ones(len(kept), np.float32),
        )


def well_formed(served: Served, query: Query, since: Reactions) -> Slate:
    """What a version recommends, if its scores are numbers.

    Raises:
        BadInputError: The query cannot be answered.
        DamagedError: A score is none.
        UnavailableError: What scores is away just now.
    """
    (slate,) = served.recommender.recommend([query], since)
    _check_scores(slate, served.version)
    return slate


def _check_scores(slate: Slate, version: str) -> None:
    if not np.isfinite(slate.scores).all():
        raise DamagedError(f"version {version} scores with what is no number", where="scores")


def _popular_by_country(recommender: Recommender) -> dict[str, IndexArray]:
    for retriever in recommender.retrievers:
        if retriever.name == "popularity":
            arrays = retriever.arrays()
            shares = arrays["by_country"]
            n = min(N_PER_COUNTRY, shares.shape[1])
            return {
                str(country): np.argsort(-shares[row], kind="stable")[:n].astype(np.int32)
                for row, country in enumerate(arrays["countries"].tolist())
            }
    return {}
