"""Watching: look at the triggers again and again, retrain when one has a reason."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from audotics.errors import AudoticsError
from audotics.lifecycle.lease import HeldError
from audotics.lifecycle.reports import RetrainReport
from audotics.lifecycle.runs import StoppedError
from audotics.lifecycle.triggers import Situation, Trigger

_log = logging.getLogger("audotics.retrain")


class Watch:
    """Retrains whenever a trigger says so, until it is stopped.

    An error ends one attempt, never the watch: a database that is away comes back, and bad data may be
    mended. Two watches of one installation do no harm; the lease lets one of them work.

    Args:
        retrain: Retrains once, for the given reason.
        situation: What the triggers look at.
        triggers: The first that has a reason decides.
        stop: Ends the watch; `retrain` should look at it between its steps.
        poll_s: Seconds between looks.
        pause: Least time from the end of an attempt to the next one: a reason that retraining does not
            remove, such as drift that the gates refuse to follow, must not keep the machine busy for ever.
        tell: Told how each attempt ended.
    """

    def __init__(
        self,
        retrain: Callable[[str], RetrainReport],
        situation: Callable[[], Situation],
        triggers: Sequence[Trigger],
        *,
        stop: threading.Event,
        poll_s: float = 60.0,
        pause: timedelta = timedelta(hours=1),
        tell: Callable[[RetrainReport], None] = lambda _: None,
    ) -> None:
        self._retrain = retrain
        self._situation = situation
        self._triggers = tuple(triggers)
        self._stop = stop
        self._poll_s = poll_s
        self._pause = pause
        self._tell = tell
        self._last_ended_at: datetime | None = None

    def run(self) -> None:
        """Watch until `stop` is set."""
        while not self._stop.is_set():
            self.look()
            self._stop.wait(self._poll_s)

    def look(self) -> RetrainReport | None:
        """Look once; the report where there was a reason and the attempt came to an end."""
        try:
            reason = self.reason()
            if not reason:
                return None
            _log.info("retraining: %s", reason)
            report = self._retrain(reason)
        except HeldError as error:
            _log.info("%s", error)
            return None
        except StoppedError:
            return None
        except AudoticsError as error:
            _log.error("retraining failed: %s", error)
            self._last_ended_at = datetime.now(UTC)
            return None
        self._last_ended_at = report.finished_at
        self._tell(report)
        return report

    def reason(self) -> str:
        """Why to retrain now; empty where there is no reason, or the last attempt ended a moment ago.

        Raises:
            UnavailableError: The journal does not answer.
        """
        situation = self._situation()
        ended = [at for at in (situation.last_ended_at, self._last_ended_at) if at is not None]
        if ended:
            situation = replace(situation, last_ended_at=max(ended))
            if situation.now - max(ended) < self._pause:
                return ""
        reasons = (trigger(situation) for trigger in self._triggers)
        return next((reason for reason in reasons if reason), "")
