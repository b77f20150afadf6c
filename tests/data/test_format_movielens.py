"""MovieLens-style ratings: small files of the three generations of the sets."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from audotics.data.formats import detect, get_format
from contract.format_contract import FormatContract, assert_accounted, lines, tabbed, write_files

CSV = {
    "ratings.csv": lines(
        "userId,movieId,rating,timestamp",
        "1,31,2.5,1260759144",
        "1,1029,4.0,1260759179",
        "2,31,0.5,835355493",
    ),
    "movies.csv": lines(
        "movieId,title,genres",
        '31,"American President, The (1995)",Comedy|Drama|Romance',
        '1029,"Dumbo ""x"" (1941)",(no genres listed)',
        "9,Untitled,Drama",
    ),
    "tags.csv": lines("userId,movieId,tag,timestamp", "1,31,politics,1445714994", "2,1029,cute,1445714996"),
    "links.csv": lines("movieId,imdbId,tmdbId", "31,112346,9087"),
}
DAT = {
    "ratings.dat": lines("1::31::5::978300760", "1::9::3::978302109", "2::31::1::978301968"),
    "movies.dat": lines(
        "31::Misérables, Les (1995)::Drama|Musical", "9::Hit: A Story (1996)::Action", encoding="latin-1"
    ),
    "users.dat": lines("1::F::1::10::48067", "2::M::56::16::70072"),
}
FLAGS = ["0"] * 19
DATA = {
    "u.data": tabbed((196, 242, 3, 881250949), (186, 242, 4, 891717742), (22, 1, 1, 878887116)),
    "u.item": lines(
        "|".join(["1", "Toy Story (1995)", "01-Jan-1995", "", "http://x", *FLAGS[:3], "1", "1", *FLAGS[:14]]),
        "|".join(["242", "Été (1996)", "24-Jan-1997", "", "http://y", *FLAGS]),
        encoding="latin-1",
    ),
    "u.user": lines("196|49|M|writer|55105", "186|39|F|executive|00000"),
}


class TestMovieLens(FormatContract):
    format_name = "movielens"
    n_events = 3
    lone_file = "ratings.csv"

    def write(self, folder):
        return write_files(folder, CSV)

    def test_ratings_become_likes_plays_and_dislikes(self, source, tmp_path):
        events = self.load(source, tmp_path / "d").events().collect()
        assert sorted(events.select("user_id", "track_id", "event").rows()) == [
            ("1", "1029", "like"),
            ("1", "31", "play"),
            ("2", "31", "dislike"),
        ]
        assert events["timestamp"].min() == datetime(1996, 6, 21, 11, 11, 33, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("rating", "event"),
        [
            ("5", "like"),
            ("4", "like"),
            ("3.5", "play"),
            ("2.5", "play"),
            ("2", "dislike"),
            ("0.5", "dislike"),
        ],
    )
    def test_bounds_of_ratings(self, tmp_path, rating, event):
        source = write_files(tmp_path / "s", {"u.data": tabbed((1, 2, rating, 881250949))})
        assert self.load(source, tmp_path / "d").events().collect()["event"].to_list() == [event]

    def test_titles_years_genres_and_tags(self, source, tmp_path):
        tracks = {t["track_id"]: t for t in self.load(source, tmp_path / "d").tracks().iter_rows(named=True)}
        assert tracks["31"]["title"] == "American President, The (1995)"
        assert tracks["31"]["released"] == date(1995, 1, 1)
        assert tracks["31"]["genres"] == ["Comedy", "Drama", "Romance"]
        assert tracks["31"]["tags"] == ["politics"]
        assert (tracks["1029"]["title"], tracks["1029"]["genres"]) == ('Dumbo "x" (1941)', None)
        assert tracks["9"]["released"] is None

    def test_tags_of_held_out_tracks_are_left_out(self, source, tmp_path):
        own = write_files(tmp_path / "e", {"e.csv": lines("user_id,track_id", "1,31")})
        dataset = self.load(source, tmp_path / "d", events=own / "e.csv")
        assert_accounted(dataset)
        tags = {t["track_id"]: t["tags"] for t in dataset.tracks().iter_rows(named=True)}
        assert tags["31"] == ["politics"]
        assert not tags["1029"]
        assert dataset.manifest.counts["tracks.tags"].left_out == 1

    def test_double_colons(self, tmp_path):
        source = write_files(tmp_path / "s", DAT)
        assert detect(source).name == "movielens"
        dataset = self.load(source, tmp_path / "d")
        assert_accounted(dataset)
        assert dataset.rejects().is_empty()
        assert sorted(dataset.events().collect()["event"]) == ["dislike", "like", "play"]
        titles = dict(dataset.tracks().select("track_id", "title").rows())
        assert titles == {"31": "Misérables, Les (1995)", "9": "Hit: A Story (1996)"}
        assert dict(dataset.users().select("user_id", "gender").rows()) == {"1": "F", "2": "M"}

    def test_the_first_generation(self, tmp_path):
        source = write_files(tmp_path / "s", DATA)
        assert detect(source).name == "movielens"
        dataset = self.load(source, tmp_path / "d")
        assert_accounted(dataset)
        assert dataset.rejects().is_empty()
        tracks = {t["track_id"]: t for t in dataset.tracks().iter_rows(named=True)}
        assert tracks["1"]["genres"] == ["Animation", "Children's"]
        assert tracks["242"]["title"] == "Été (1996)"
        assert not tracks["242"]["genres"]
        assert dict(dataset.users().select("user_id", "gender").rows()) == {"196": "M", "186": "F"}

    def test_dirty_rows_are_accounted_for(self, source, tmp_path):
        with (source / "ratings.csv").open("ab") as file:
            file.write(
                b"3,31,great,1260759144\n3,31,,1260759144\n3,31,4.0\n,31,4.0,1260759144\n3,31,4.0,never\n"
            )
        with (source / "movies.csv").open("ab") as file:
            file.write(b'31,"American President, The (1995)",Drama\n')
        dataset = self.load(source, tmp_path / "d", max_rejects=1.0)
        assert_accounted(dataset)
        found = {(r["file"], r["line"], r["column"]) for r in dataset.rejects().iter_rows(named=True)}
        assert found == {
            ("ratings.csv", 5, "event"),
            ("ratings.csv", 6, "event"),
            ("ratings.csv", 7, ""),
            ("ratings.csv", 8, "user_id"),
            ("ratings.csv", 9, "timestamp"),
            ("movies.csv", 5, "track_id"),
        }

    def test_ratings_with_other_columns_are_not_claimed(self, tmp_path):
        source = write_files(tmp_path / "s", {"ratings.csv": lines("user,item,stars,when", "1,2,3,4")})
        assert not get_format("movielens").detects(source)
