"""Names of artists, albums and tracks that read like names, made from parts by number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_FIRST = _words(
    """
    Ada Alma Amos Anouk Bela Cleo Dario Edda Elias Esme Farah Gideon Hana Ilse Imani Ines Jonas Juno Kaito
    Lena Levi Lila Mara Mateo Mika Nadia Niko Noor Odile Orla Otis Pia Quinn Rafa Rosa Ruben Sami Selma
    Sol Tariq Thea Uma Vera Wanda Yara Zeno
    """
)
_LAST = _words(
    """
    Abara Almeida Bergstrom Bianchi Castell Corrigan Dahl Delacroix Ekwueme Falk Ferreira Garrow Haddad
    Holm Ibarra Jansen Kapoor Kovac Lindqvist Lopes Marek Mbeki Moreau Nakata Novak Okafor Olsen Pereira
    Quist Rahimi Rossi Sandoval Sato Silva Soto Tanaka Thorne Ueda Valdez Varga Weiss Winter Yilmaz Zola
    """
)
_ADJECTIVE = _words(
    """
    Amber Broken Burning Crystal Distant Double Electric Empty Endless Faded Falling First Gentle Golden
    Hollow Hidden Last Little Lonely Lost Lucky Midnight Neon New Northern Open Painted Pale Paper Quiet
    Restless Sacred Second Secret Silent Silver Slow Southern Strange Sudden Tender Velvet Wandering Wild
    """
)
_NOUN = _words(
    """
        Anchor Animal Avenue Bridge Carnival Castle Cinema Circle City Coast Diamond Dream Engine
    Feather Fever     Fire Flower Garden Ghost Harbour Heart Highway Horizon Island Kingdom Lantern
    Letter Light Machine Mirror     Moon Mountain Ocean Paradise Parade Radio Rain River Shadow Signal
    Skyline Stranger Summer Sunday Thunder     Tiger Tomorrow Tower Train Valley Violet Water Window
    Winter
    """
)
_VERB = _words(
    """
    Believe Breathe Call Carry Chase Dance Drive Fall Follow Forget Hold Leave Lose Remember Run Stay Wait
    """
)


def artist_names(count: int, rng: np.random.Generator) -> pl.Series:
    """Names of people and bands ``[count]``; those that come twice get a numeral, as in life."""
    person = _joined(count, rng, _FIRST, " ", _LAST)
    band = _joined(count, rng, ("The ", "", "", "DJ "), _ADJECTIVE, " ", _NOUN, ("s", ""))
    names = _either(person, band, rng.random(count) < 0.5)
    again = pl.int_range(pl.len()).over("name")
    return (
        names.to_frame("name")
        .select(
            pl.when(again == 0)
            .then(pl.col("name"))
            .otherwise(pl.format("{} {}", "name", again + 1))
            .alias("name")
        )
        .to_series()
    )


def titles(count: int, rng: np.random.Generator) -> pl.Series:
    """Titles of tracks or albums ``[count]``, repeats allowed."""
    scene = _joined(count, rng, ("", "", "The "), _ADJECTIVE, " ", _NOUN)
    plea = _joined(count, rng, _VERB, (" Me", " the", " Your", " Another", " This"), " ", _NOUN)
    return _either(scene, plea, rng.random(count) < 0.6)


def _joined(count: int, rng: np.random.Generator, *parts: str | Sequence[str]) -> pl.Series:
    words = [
        pl.lit(part)
        if isinstance(part, str)
        else pl.lit(pl.Series(part).gather(rng.integers(0, len(part), count)))
        for part in parts
    ]
    return pl.select(pl.concat_str(words).alias("name")).to_series()


def _either(first: pl.Series, second: pl.Series, take_first: np.ndarray) -> pl.Series:
    return first.zip_with(pl.Series(take_first), second).alias("name")
