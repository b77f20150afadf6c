"""Who takes part: names, libraries that are missing, and peers that have nothing to say on the data."""

from __future__ import annotations

import sys

import pytest

from audotics.benchmark.names import PEERS, find_peer, line_up
from audotics.errors import BadInputError, MissingExtraError


def test_the_named_take_part_once_and_in_order():
    lineup = line_up(["ease", "popularity", "ease"], ordered=False, include_heard=False)
    assert [entry.name for entry in lineup.peers] == ["ease", "popularity"]
    assert lineup.left_out == {}


def test_an_unknown_name_is_refused_with_those_there_are():
    with pytest.raises(BadInputError, match=r"no peer 'als'.*implicit-als"):
        find_peer("als")
    with pytest.raises(BadInputError, match="--against"):
        line_up(["als"], ordered=True, include_heard=True)


def test_without_names_the_missing_are_left_out_with_the_command(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "implicit", None)
    lineup = line_up(None, ordered=True, include_heard=True)
    assert "implicit-als" not in {entry.name for entry in lineup.peers}
    assert lineup.left_out["implicit-als"] == "not installed (implicit): pip install 'audotics[peers]'"


def test_a_named_peer_must_be_there(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "implicit", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'audotics\[peers\]'"):
        line_up(["implicit-bm25"], ordered=True, include_heard=True)


def test_favourites_take_part_where_heard_tracks_count():
    def names(*, include_heard: bool) -> set[str]:
        return {entry.name for entry in line_up(None, ordered=True, include_heard=include_heard).peers}

    assert names(include_heard=True) - names(include_heard=False) == {"most-played"}
    with pytest.raises(BadInputError, match="--against most-played: recommends heard tracks alone"):
        line_up(["most-played"], ordered=True, include_heard=False)


def test_sequence_models_need_an_order():
    lineup = line_up(None, ordered=False, include_heard=False)
    assert "needs the order of plays" in lineup.left_out["sasrec"]


def test_every_entry_of_a_library_names_the_extra_that_has_it():
    for entry in PEERS.values():
        assert bool(entry.libraries) == bool(entry.extra)
