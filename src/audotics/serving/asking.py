"""A request on its way down the ladder: what is asked of which version, and where the answer is kept."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from audotics.domain import Query, Slate
from audotics.recommender.reactions import Reactions
from audotics.resilience import Deadline
from audotics.serving.cache_entry import CacheKey
from audotics.serving.encoding import Rung, body, context_bucket, request_digest
from audotics.serving.served import Served
from audotics.serving.ways import Rival

ERASED = "\0"
"""Before the name of an erased listener: ids hold no null, so no version knows anybody of that name."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A request on its way down the ladder.

    Args:
        query: What is asked, with what experiments change.
        explain: Whether each track says why.
        variant: Label of the answer.
        served: The version that answers.
        since: What the listeners did since its training.
        revision: Of their profiles.
        deadline: Until when there must be an answer.
        at: When it was asked.
        rival: Who else answers, in an interleaving experiment.
        rival_since: What the listeners did since the rival's training.
    """

    query: Query
    explain: bool
    variant: str
    served: Served
    since: Reactions
    revision: int
    deadline: Deadline
    at: datetime
    rival: Rival | None = None
    rival_since: Reactions = field(default_factory=dict)

    @property
    def key(self) -> CacheKey:
        """The slot of the answer."""
        query, rival = self.query, self.rival
        version, request = self.served.cache_version, request_digest(query, explain=self.explain)
        if rival is not None:
            version = f"{version},{rival.served.cache_version}"
            request += request_digest(rival.query, explain=self.explain)
        return CacheKey(
            user_id=query.user_id or "",
            model_version=version,
            variant=self.variant,
            context=context_bucket(query, self.at),
            request=request,
        )

    def body(self, slate: Slate, rung: Rung, teams: tuple[str, ...] = ()) -> bytes:
        """The answer's body; ``teams`` tells whose track each is where both versions made it."""
        if slate.user_id is not None:
            slate = replace(slate, user_id=slate.user_id.removeprefix(ERASED))
        version = self.served.version
        if teams and self.rival is not None and self.rival.served.version != version:
            version = f"{version},{self.rival.served.version}"
        return body(slate, rung, version, self.variant, explain=self.explain, teams=teams)
