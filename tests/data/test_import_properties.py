"""Whatever is done to every n-th row: no crash, and rows read = accepted + merged + rejected."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audotics.data import import_dataset
from contract.format_contract import assert_accounted

N_ROWS = 120

_HEADER = b"user_id,track_id,timestamp,plays,ms_played,context_mood"


def _row(n: int) -> bytes:
    return f"u{n % 7},t{n % 11},{1_600_000_000 + n},1,{n * 100},calm".encode()


def _replace(place: int, value: bytes) -> Callable[[bytes], bytes]:
    def mutate(row: bytes) -> bytes:
        cells = row.split(b",")
        cells[place] = value
        return b",".join(cells)

    return mutate


# What is done to a row, and whether it must be rejected for it (None: may be either).
MUTATIONS: dict[str, tuple[Callable[[bytes], bytes], bool | None]] = {
    "latin-1 bytes": (_replace(5, b"Bj\xf6rk"), False),
    "a column less": (lambda row: row.rsplit(b",", 1)[0], True),
    "a column more": (lambda row: row + b",more", True),
    "no date": (_replace(2, b"31.02.2021"), True),
    "a date of 1970": (_replace(2, b"0"), True),
    "a date to come": (_replace(2, b"2999-01-01"), True),
    "no time at all": (_replace(2, b""), True),
    "iso time": (_replace(2, b"2021-01-01T00:00:00+01:00"), False),
    "no listener": (_replace(0, b""), True),
    "endless id": (_replace(1, b"x" * 257), True),
    "control character": (_replace(0, b"a\x07"), True),
    "NaN": (_replace(3, b"NaN"), True),
    "negative": (_replace(3, b"-1"), True),
    "words for numbers": (_replace(4, b"long"), True),
    "one megabyte": (_replace(5, b"x" * 1_000_001), True),
    "100 kilobytes": (_replace(5, b"x" * 100_000), True),
    "NUL": (_replace(5, b"\0"), True),
    "open quote": (_replace(5, b'"calm'), None),
    "quote inside": (_replace(5, b'12" mix'), False),
    "quoted": (_replace(5, b'"calm, very"'), False),
    "repeated": (lambda row: row + b"\n" + row, False),
    "random bytes": (lambda row: bytes(range(255, 127, -1)), True),
    "unknown kind": (_replace(5, b""), False),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_every_ninth_row_mutated(tmp_path: Path, name: str) -> None:
    mutate, rejected = MUTATIONS[name]
    rows = [mutate(_row(n)) if n % 9 == 4 else _row(n) for n in range(N_ROWS)]
    source = tmp_path / "log.csv"
    source.write_bytes(b"\n".join([_HEADER, *rows]))
    dataset = import_dataset(source, "csv", tmp_path / "dataset", max_rejects=1.0).dataset
    assert_accounted(dataset)
    counts = dataset.manifest.counts["events"]
    n_mutated = sum(n % 9 == 4 for n in range(N_ROWS))
    assert counts.read == N_ROWS + (n_mutated if name == "repeated" else 0)
    assert counts.merged == (n_mutated if name == "repeated" else 0)
    if rejected is not None:
        assert counts.rejected == (n_mutated if rejected else 0)
        lines = [n + 2 for n in range(N_ROWS) if n % 9 == 4] if rejected else []
        assert dataset.rejects()["line"].to_list() == lines


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    step=st.integers(2, 9),
    names=st.lists(st.sampled_from(sorted(MUTATIONS)), min_size=1, max_size=4),
)
def test_any_mixture_of_mutations_is_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, step: int, names: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("mixed")
    rows = [_row(n) for n in range(N_ROWS)]
    for n in range(0, N_ROWS, step):
        rows[n] = MUTATIONS[names[n % len(names)]][0](rows[n])
    source = folder / "log.csv"
    source.write_bytes(b"\n".join([_HEADER, *rows]))
    dataset = import_dataset(source, "csv", folder / "dataset", max_rejects=1.0).dataset
    assert_accounted(dataset)
    untouched = {(f"u{n % 7}", f"t{n % 11}", n) for n in range(N_ROWS) if n % step}
    seconds = dataset.events().collect()["timestamp"].dt.epoch("s") - 1_600_000_000
    events = dataset.events().collect()
    found = set(zip(events["user_id"], events["track_id"], seconds, strict=True))
    if "open quote" not in names:
        assert untouched <= found


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=12))
def test_any_bytes_below_a_header_are_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]
) -> None:
    folder = tmp_path_factory.mktemp("bytes")
    source = folder / "log.tsv"
    padding = [b"u%d\tt%d\t1" % (n, n) for n in range(400)]
    source.write_bytes(b"\n".join([b"user_id\ttrack_id\tplays", *padding, *lines]))
    dataset = import_dataset(source, "csv", folder / "dataset", max_rejects=1.0).dataset
    assert_accounted(dataset)
    assert dataset.manifest.counts["events"].accepted >= len(padding)
