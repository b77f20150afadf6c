"""When to try again, and how long to wait before: exponential back-off with full jitter."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from audotics.client.errors import BUSY


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how patiently a request is tried again.

    Every request of this API may be sent twice: asking changes nothing, events carry ids, erasing is final.

    Args:
        attempts: Tries altogether, 1 for no retry.
        first_s: The first pause is drawn from 0 to this, each later one from twice the span before.
        longest_s: No pause drawn is longer.
        most_patient_s: The longest pause that a server may ask for (Retry-After); asked for more, the client
            gives up at once.
        draw: A number in [0, 1) per pause.
    """

    attempts: int = 4
    first_s: float = 0.1
    longest_s: float = 5.0
    most_patient_s: float = 30.0
    draw: Callable[[], float] = random.random

    def pause(self, tries: int, answer: httpx.Response | None) -> float | None:
        """Seconds until the next try; None where there is none.

        Args:
            tries: How many there were.
            answer: Of the last try; None where no answer came.
        """
        if tries >= self.attempts or (answer is not None and not may_change(answer)):
            return None
        drawn = self.draw() * min(self.longest_s, self.first_s * 2 ** (tries - 1))
        asked = 0.0 if answer is None else retry_after(answer)
        return None if asked > self.most_patient_s else max(asked, drawn)


def may_change(answer: httpx.Response) -> bool:
    """Whether the same request may soon get another answer.

    A server of ours tells each fault as a JSON document. A fault without one is what something between says,
    a balancer or Ray Serve, of a server that went away under the request.
    """
    explained = answer.content.lstrip().startswith(b"{")
    return answer.status_code in BUSY or (answer.status_code >= 500 and not explained)


def retry_after(answer: httpx.Response) -> float:
    """Seconds that the server asks to wait, given as seconds or as a date; 0 where it does not ask."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isdigit():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())
