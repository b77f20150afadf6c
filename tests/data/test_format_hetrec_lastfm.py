"""HetRec Last.fm 2K: small files of its shape, and the real ones."""

from __future__ import annotations

import polars as pl
import pytest

from audotics.data.dataset import Dataset
from audotics.data.formats import get_format
from audotics.data.formats.hetrec_lastfm import HELD_OUT
from audotics.data.formats.protocol import FormatOptions
from audotics.errors import BadInputError
from contract.format_contract import FormatContract, assert_accounted, tabbed, write_files

PLAYS = tabbed(("userID", "artistID", "weight"), (2, 51, 13883), (2, 52, 11690), (3, 51, 7), (3, 60, 1))
ARTISTS = tabbed(
    ("id", "name", "url", "pictureURL"),
    (51, "Duran Duran", "u", "p"),
    (52, '"Weird Al" Yankovic', "u", "p"),
    (60, "Röyksopp", "u", ""),
    (61, "Royce da 5'9\"", "", ""),
)
TAGS = tabbed(("tagID", "tagValue"), (1, "80s"), (2, "pop")) + "3\tdie Ärzte\n".encode("latin-1")
GIVEN = tabbed(
    ("userID", "artistID", "tagID", "day", "month", "year"),
    (2, 51, 1, 1, 4, 2009),
    (3, 51, 1, 1, 4, 2009),
    (2, 51, 2, 1, 4, 2009),
    (3, 60, 3, 1, 4, 2009),
    (2, 60, 2, 1, 4, 2009),
)
FILES = {
    "user_artists.dat": PLAYS,
    "artists.dat": ARTISTS,
    "tags.dat": TAGS,
    "user_taggedartists.dat": GIVEN,
    "user_friends.dat": tabbed(("userID", "friendID"), (2, 3)),
}


def tags_of(dataset: Dataset) -> dict[str, list[str] | None]:
    return {
        row["track_id"]: row["tags"] and sorted(row["tags"]) for row in dataset.tracks().iter_rows(named=True)
    }


class TestHetrecLastfm(FormatContract):
    format_name = "hetrec-lastfm"
    n_events = 4

    def write(self, folder):
        return write_files(folder, FILES)

    def test_plays_become_counts_without_times(self, source, tmp_path):
        events = self.load(source, tmp_path / "d").events().collect()
        assert events["timestamp"].null_count() == 4
        plays = {(row["user_id"], row["track_id"]): row["plays"] for row in events.iter_rows(named=True)}
        assert plays == {("2", "51"): 13883, ("2", "52"): 11690, ("3", "51"): 7, ("3", "60"): 1}

    def test_names_keep_their_quotes_and_accents(self, source, tmp_path):
        tracks = self.load(source, tmp_path / "d").tracks()
        names = dict(tracks.select("track_id", "artist").iter_rows())
        assert names == {
            "51": "Duran Duran",
            "52": '"Weird Al" Yankovic',
            "60": "Röyksopp",
            "61": "Royce da 5'9\"",
        }
        assert tracks["title"].equals(tracks["artist"].alias("title"))
        assert tracks["artist_id"].equals(tracks["track_id"].alias("artist_id"))

    def test_tags_count_the_listeners_who_gave_them(self, source, tmp_path):
        tags = tags_of(self.load(source, tmp_path / "d"))
        assert tags["51"] == ["80s", "80s", "pop"]
        assert tags["60"] == ["die Ärzte", "pop"]
        assert not tags["52"]

    def test_tags_of_held_out_artists_are_left_out(self, source, tmp_path):
        train = tmp_path / "train.tsv"
        train.write_bytes(tabbed(("user_id", "track_id", "plays"), (2, 51, 13883), (3, 60, 1)))
        dataset = self.load(source, tmp_path / "d", events=train)
        # Listener 3 tagged artist 51, listener 2 artist 60: both are held out from them.
        assert tags_of(dataset)["51"] == ["80s", "pop"]
        assert tags_of(dataset)["60"] == ["die Ärzte"]
        assert dataset.manifest.counts["tracks.tags"].left_out == 2
        assert_accounted(dataset)

    def test_tags_tell_who_gave_them(self, source, tmp_path):
        rows = self.load(source, tmp_path / "d").tracks().filter(pl.col("track_id") == "51")
        given = zip(rows["tags"][0].to_list(), rows["tagged_by"][0].to_list(), strict=True)
        assert sorted(given) == [("80s", "2"), ("80s", "3"), ("pop", "2")]

    def test_friends_are_kept(self, source, tmp_path):
        (source / "user_friends.dat").write_bytes(tabbed(("userID", "friendID"), (2, 3), (3, 2), (2, 9)))
        users = self.load(source, tmp_path / "d").users()
        assert dict(users.select("user_id", "friends").iter_rows()) == {"2": ["3", "9"], "3": ["2"]}

    def test_left_out_tags_say_why(self, source):
        pairs = pl.LazyFrame({"user_id": ["2"], "track_id": ["51"]})
        options = FormatOptions(replaced=frozenset({"events"}), pairs=pairs)
        parts = [t for t in get_format("hetrec-lastfm").tables(source, options) if t.part == "tags"]
        assert sum(chunk.left_out.get(HELD_OUT, 0) for part in parts for chunk in part.chunks) == 3

    def test_unknown_tags_and_torn_lines_are_rejected(self, source, tmp_path):
        with (source / "user_taggedartists.dat").open("ab") as file:
            file.write(b"2\t52\t999\t1\t4\t2009\n2\t52\n")
        with (source / "tags.dat").open("ab") as file:
            file.write(b"4\n")
        with (source / "user_artists.dat").open("ab") as file:
            file.write(b"2\t53\tmany\n")
        dataset = self.load(source, tmp_path / "d", max_rejects=1.0)
        assert_accounted(dataset)
        rejects = {(r["file"], r["line"], r["column"]) for r in dataset.rejects().iter_rows(named=True)}
        assert rejects == {
            ("user_taggedartists.dat", 7, "tagID"),
            ("user_taggedartists.dat", 8, ""),
            ("tags.dat", 5, ""),
            ("user_artists.dat", 6, "plays"),
        }

    def test_a_file_without_its_header_is_refused(self, source, tmp_path):
        (source / "user_artists.dat").write_bytes(PLAYS.split(b"\n", 1)[1])
        with pytest.raises(BadInputError, match="userID"):
            self.load(source, tmp_path / "d")

    def test_a_set_without_tag_names_is_refused(self, source, tmp_path):
        (source / "tags.dat").unlink()
        with pytest.raises(BadInputError, match=r"tags\.dat"):
            self.load(source, tmp_path / "d")
        assert not (tmp_path / "d").exists()

    def test_a_set_without_tags_at_all_is_fine(self, source, tmp_path):
        (source / "tags.dat").unlink()
        (source / "user_taggedartists.dat").unlink()
        assert self.load(source, tmp_path / "d").tracks()["tags"].null_count() == 4

    def test_the_real_set(self, shared_data, tmp_path):
        folder = shared_data("hetrec-lastfm-2k")
        dataset = self.load(folder, tmp_path / "d")
        counts = dataset.manifest.counts
        assert_accounted(dataset)
        assert (counts["events"].accepted, counts["tracks"].accepted) == (92_834, 17_632)
        assert counts["tracks.tags"].read == 186_479
        assert dataset.rejects().is_empty()
        assert dataset.tracks()["tags"].list.len().sum() == 186_479

    def test_the_real_split_keeps_tags_from_held_out_artists(self, shared_data, tmp_path):
        folder = shared_data("hetrec-lastfm-2k")
        dataset = self.load(folder, tmp_path / "d", events=folder / "split" / "train.tsv.gz")
        counts = dataset.manifest.counts
        assert counts["events"].accepted == 74_264
        assert counts["tracks.tags"].read + counts["tracks.tags"].left_out == 186_479
        assert dataset.tracks()["tags"].list.len().sum() == 58_419
