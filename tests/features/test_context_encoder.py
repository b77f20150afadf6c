"""Context as numbers: cycles of time, devices and countries, and its scikit-learn face."""

import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audotics.data import schema
from audotics.data.queries import NO_TIME
from audotics.errors import NotFittedError
from audotics.features.context import ContextEncoder, encode_time


def micros(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * 1_000_000  # type: ignore[misc, arg-type]


def events(device: list[str | None], country: list[str | None], timed: bool = True) -> pl.DataFrame:
    stamps = [micros(2026, 11, 23) if timed else None] * len(device)
    return pl.DataFrame(
        {"timestamp": stamps, "device": device, "country": country},
        schema={"timestamp": schema.TIMESTAMP, "device": pl.String, "country": pl.String},
    )


def test_hours_and_weekdays_lie_on_circles() -> None:
    # 2026-11-23 is a Monday; a quarter of a day is a quarter of the circle.
    at = np.array([micros(2026, 11, 23), micros(2026, 11, 23, 6), micros(2026, 11, 24, 12), NO_TIME])
    expected = [
        [0, 1, 0, 1, 1],
        [1, 0, 0, 1, 1],
        [0, -1, np.sin(2 * np.pi / 7), np.cos(2 * np.pi / 7), 1],
        [0, 0, 0, 0, 0],
    ]
    np.testing.assert_allclose(encode_time(at), expected, atol=1e-6)


@settings(deadline=None)
@given(st.integers(min_value=-(10**16), max_value=10**16))
def test_time_is_the_same_a_week_later_and_continuous(at: int) -> None:
    week = 7 * 24 * 3_600_000_000
    here, later, soon = encode_time(np.array([at, at + week, at + 1_000_000]))
    np.testing.assert_allclose(here, later, atol=1e-6)
    np.testing.assert_allclose(here[:2], soon[:2], atol=1e-4)
    np.testing.assert_allclose(np.hypot(here[[0, 2]], here[[1, 3]]), [1, 1], atol=1e-6)


def test_frequent_values_have_columns_and_the_rest_share_one() -> None:
    encoder = ContextEncoder(n_devices=2, n_countries=5).fit(
        events(["phone"] * 3 + ["web"] * 2 + ["car", None], ["SE"] * 4 + ["DE"] * 3)
    )
    assert encoder.names[5:] == ("device=phone", "device=web", "device=other", "country=SE", "country=DE")
    encoded = encoder.encode(np.full(4, NO_TIME), ("web", "car", "toaster", None), ("DE", None, "FR", "SE"))
    assert encoded.dtype == np.float32
    expected = [[0, 1, 0, 0, 1], [0, 0, 1, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0]]
    np.testing.assert_array_equal(encoded[:, 5:], expected)


def test_what_training_never_had_has_no_column() -> None:
    nothing = ContextEncoder().fit(events([None], [None], timed=False))
    assert nothing.names == ()
    assert nothing.encode(np.array([micros(2026, 1, 1)]), ("phone",), ("SE",)).shape == (1, 0)
    assert ContextEncoder().fit(pl.DataFrame({"user_id": ["u"]})).names == ()


def test_equally_frequent_values_have_a_fixed_order() -> None:
    first = ContextEncoder(n_devices=1).fit(events(["b", "a"], [None, None]))
    second = ContextEncoder(n_devices=1).fit(events(["a", "b"], [None, None]))
    assert first.names == second.names
    assert "device=a" in first.names


def test_arrays_bring_the_same_encoder_back() -> None:
    encoder = ContextEncoder(n_devices=1, n_countries=2).fit(events(["a", "a", "b"], ["SE", "DE", None]))
    arrays = encoder.arrays()
    assert all(array.dtype != object for array in arrays.values())
    again = ContextEncoder.from_arrays(arrays)
    query = (np.array([micros(2026, 5, 1, 7), NO_TIME]), ("b", "a"), ("DE", "XX"))
    assert again.names == encoder.names
    assert (again.n_devices, again.n_countries) == (1, 2)
    np.testing.assert_array_equal(again.encode(*query), encoder.encode(*query))


def test_a_second_fit_forgets_the_first() -> None:
    encoder = ContextEncoder().fit(events(["phone"], ["SE"]))
    encoder.fit(events(["web"], [None], timed=False))
    assert encoder.names == ("device=web",)


@pytest.mark.parametrize("call", ["names", "arrays", "encode"])
def test_before_fit_it_says_so(call: str) -> None:
    encoder = ContextEncoder()
    with pytest.raises(NotFittedError, match="ContextEncoder"):
        if call == "encode":
            encoder.encode(np.zeros(0, np.int64), (), ())
        elif call == "arrays":
            encoder.arrays()
        else:
            assert encoder.names


def test_serving_modules_import_no_scikit_learn() -> None:
    code = (
        "import sys, audotics.features.context, audotics.features.history, audotics.features.terms;"
        "print(sorted({'sklearn', 'tensorflow', 'skops'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
