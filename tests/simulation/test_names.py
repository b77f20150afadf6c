"""Names read like names: words, no gaps, artists unmistakable."""

from __future__ import annotations

import numpy as np

from audotics.simulation.names import artist_names, titles


def test_artists_are_distinct_even_when_there_are_many() -> None:
    names = artist_names(30_000, np.random.default_rng(0))
    assert names.n_unique() == len(names) == 30_000
    assert names.null_count() == 0


def test_names_are_words_with_single_spaces() -> None:
    rng = np.random.default_rng(1)
    for names in (artist_names(2_000, rng), titles(2_000, rng)):
        assert names.str.contains(r"^[A-Z][a-zA-Z]*( [A-Za-z0-9]+)+$").all(), names.filter(
            ~names.str.contains(r"^[A-Z][a-zA-Z]*( [A-Za-z0-9]+)+$")
        ).head()


def test_people_and_bands_both_come() -> None:
    names = artist_names(500, np.random.default_rng(2))
    bands = names.str.starts_with("The ").sum()
    assert 20 < bands < 200


def test_titles_vary_and_depend_on_the_seed() -> None:
    first = titles(1_000, np.random.default_rng(0))
    assert first.n_unique() > 800
    assert first.to_list() == titles(1_000, np.random.default_rng(0)).to_list()
    assert first.to_list() != titles(1_000, np.random.default_rng(1)).to_list()
