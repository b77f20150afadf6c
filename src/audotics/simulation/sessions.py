"""When listeners listen: sessions by local time of day and weekday."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from audotics.domain import TimeArray
from audotics.simulation import genres
from audotics.simulation.listeners import UTC_OFFSET_HOURS, Listeners
from audotics.simulation.sampling import draw_rows

MEAN_LENGTH = 9.0
LONGEST = 80
MOST_PER_DAY = 25.0
"""Mean sessions of those who listen most: with more, a day would not be long enough."""

SECOND = 1_000_000
DAY = 86_400 * SECOND

DEVICES = ("mobile", "desktop", "speaker", "car", "tv")
DEVICE_SHARES = np.array(
    [
        [0.55, 0.15, 0.22, 0.03, 0.05],
        [0.58, 0.06, 0.12, 0.23, 0.01],
        [0.45, 0.40, 0.08, 0.06, 0.01],
        [0.45, 0.15, 0.25, 0.08, 0.07],
        [0.40, 0.08, 0.32, 0.08, 0.12],
    ]
)
"""``[len(SLOTS), len(DEVICES)]``: what people listen on in each part of the day."""

_HOURS_WEEKDAY = np.array(
    [8, 5, 3, 2, 2, 5, 14, 30, 34, 26, 24, 25, 27, 26, 26, 28, 33, 40, 42, 40, 38, 34, 26, 15]
)
_HOURS_WEEKEND = np.array(
    [18, 13, 8, 5, 3, 3, 5, 9, 16, 24, 30, 33, 34, 34, 34, 34, 35, 36, 38, 40, 42, 40, 34, 26]
)
HOURS = np.stack([_HOURS_WEEKDAY] * 5 + [_HOURS_WEEKEND] * 2)
"""``[7, 24]``: listening by weekday (0 is Monday) and local hour, relative."""


@dataclass(frozen=True, slots=True)
class Sessions:
    """Sessions that begin on one UTC day, each listener's together and oldest first.

    Args:
        user: ``[n_sessions]`` listener number.
        start: ``[n_sessions]`` microseconds after the start of the log.
        slot: ``[n_sessions]`` part of the local day, place in `genres.SLOTS`.
        device: ``[n_sessions]`` place in `DEVICES`.
        length: ``[n_sessions]`` tracks that play.
    """

    user: TimeArray
    start: TimeArray
    slot: TimeArray
    device: TimeArray
    length: TimeArray


def draw_sessions(
    listeners: Listeners, first: int, last: int, day: int, scale: float, rng: np.random.Generator
) -> Sessions:
    """Sessions of listeners ``first`` to ``last`` that begin on one day; nobody listens before signing up.

    ``scale`` multiplies everybody's mean number of sessions.
    """
    weekday = (listeners.config.started_on.weekday() + day) % 7
    volume = HOURS.sum(axis=1) / HOURS.sum(axis=1).mean()
    present = listeners.signup_day[first:last] <= day
    mean = listeners.sessions_per_day[first:last] * present * volume[weekday] * scale
    mean = mean.clip(0, MOST_PER_DAY)
    user = first + np.repeat(np.arange(last - first), rng.poisson(mean))
    offset = UTC_OFFSET_HOURS[listeners.country[user]]
    by_country = np.stack([np.roll(HOURS[weekday], -hours) for hours in UTC_OFFSET_HOURS])
    hour = draw_rows(by_country, listeners.country[user], rng)
    start = day * DAY + hour * 3600 * SECOND + rng.integers(0, 3600 * SECOND, len(user))
    local_hour = hour + offset
    evening_before_free_day = np.isin((weekday + local_hour // 24) % 7, (4, 5))
    slot = genres.slot_of(local_hour % 24, evening_before_free_day)
    oldest_first = np.lexsort((start, user))
    return Sessions(
        user=user[oldest_first],
        start=start[oldest_first],
        slot=slot[oldest_first],
        device=draw_rows(DEVICE_SHARES, slot[oldest_first], rng),
        length=rng.geometric(1 / MEAN_LENGTH, len(user)).clip(1, LONGEST),
    )


def session_scale(listeners: Listeners) -> float:
    """What everybody's sessions must be multiplied by for the log to have the size the settings ask for."""
    config = listeners.config
    days_present = config.n_days - listeners.signup_day.clip(0)
    # Mean of a geometric number that is cut off at the longest session.
    mean_length = MEAN_LENGTH * (1 - (1 - 1 / MEAN_LENGTH) ** LONGEST)
    expected = float(listeners.sessions_per_day.astype(np.float64) @ days_present) * mean_length
    return config.expected_events / expected


def without_overlap(sessions: Sessions, duration: TimeArray, busy_until: npt.NDArray[np.int64]) -> TimeArray:
    """Starts moved later where the listener is still in an earlier session ``[n_sessions]``.

    Solves ``start[i] >= start[i-1] + duration[i-1]`` for each listener at once by a running maximum.

    Args:
        sessions: Sessions of one block, each listener's together and oldest first.
        duration: ``[n_sessions]`` microseconds.
        busy_until: ``[n_users]`` end of each listener's last session so far; updated in place.
    """
    user = sessions.user
    if not len(user):
        return sessions.start
    is_first = np.append(True, user[1:] != user[:-1])
    before = np.cumsum(duration) - duration
    group = np.cumsum(is_first) - 1
    played = before - before[is_first][group]
    slack = np.maximum(sessions.start, np.where(is_first, busy_until[user], 0)) - played
    # Listeners stand one above the other by more than any time in the log, so no maximum crosses over.
    step = int(slack.max() - slack.min()) + 1
    start: TimeArray = np.maximum.accumulate(slack + group * step) - group * step + played
    is_last = np.append(is_first[1:], True)
    busy_until[user[is_last]] = (start + duration)[is_last]
    return start
