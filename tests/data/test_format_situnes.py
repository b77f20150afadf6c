"""SiTunes: small files of its shape, and the real study."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from audotics.errors import BadInputError
from contract.format_contract import FormatContract, assert_accounted, lines, write_files

FIELD = "emo_pre_valence,emo_pre_arousal,emo_post_valence,emo_post_arousal,duration,rec_type"
FILES = {
    "Stage1/interactions.csv": lines(
        "user_id,item_id,No.,timestamp,rating,duration,emo_valence,emo_arousal",
        "1,132,1,1625022948,4,96.59,0.33,-0.79",
        "1,707,2,1625023059,2,92.13,0.32,-0.83",
    ),
    "Stage2/interactions.csv": lines(
        f"inter_id,user_id,item_id,timestamp,rating,{FIELD}",
        "1,1,529,1625103746,3,0.35,-0.4575,-0.27,0.14,,",
        "2,2,707,1625121151,5,0.47,-0.37,0.12,0.63,172.0,WD",
    ),
    "Stage2/env.json": json.dumps(
        {
            "1": {"time": 1, "weather": [2, 996, 22, 83], "GPS": [1.5, 2.5, 0.67]},
            "2": {"time": 3, "weather": [0, 1003, 28, 40], "GPS": [1.5, 2.5, 4.0]},
        }
    ).encode(),
    "Stage2/wrist.npy": b"",
    "music_metadata/music_info.csv": lines(
        ",item_id,popularity,loudness,danceability,general_genre_id,duration,general_genre",
        "0,132,22.0,-12.89,0.591,0,204200.0,indie",
        "1,529,,-5.275,0.522,1,184480.0,other",
    ),
    "music_metadata/music_info_withname.csv": lines(
        "i_id_c,popularity,duration,music,singer",
        '132.0,22.0,204200.0,"The Privateers, Pt. ""2""",Andrew Bird',
    ),
}


class TestSiTunes(FormatContract):
    format_name = "situnes"
    n_events = 4

    def write(self, folder):
        return write_files(folder, FILES)

    def test_ratings_and_times_of_all_stages(self, source, tmp_path):
        events = self.load(source, tmp_path / "d").events().collect().sort("timestamp")
        assert events["event"].to_list() == ["like", "dislike", "play", "like"]
        assert events["ms_played"].to_list() == [96_590, 92_130, None, 172_000]
        assert events["timestamp"][0] == datetime(2021, 6, 30, 3, 15, 48, tzinfo=UTC)

    def test_what_was_known_before_the_play_is_context(self, source, tmp_path):
        events = self.load(source, tmp_path / "d").events().collect().sort("timestamp")
        assert events["context_emo_pre_valence"].to_list() == pytest.approx([None, None, 0.35, 0.47])
        assert events["context_daytime"].to_list() == [None, None, "1", "3"]
        assert events["context_weather"].to_list() == [None, None, "2", "0"]
        assert events["context_temperature"].to_list() == [None, None, 22.0, 28.0]
        assert events["context_speed"].to_list() == pytest.approx([None, None, 0.67, 4.0])
        assert not [name for name in events.columns if "post" in name or "GPS" in name]

    def test_tracks_are_described_and_named(self, source, tmp_path):
        tracks = {t["track_id"]: t for t in self.load(source, tmp_path / "d").tracks().iter_rows(named=True)}
        first = tracks["132"]
        assert (first["title"], first["artist"]) == ('The Privateers, Pt. "2"', "Andrew Bird")
        assert (first["duration_ms"], first["genres"]) == (204_200, ["indie"])
        assert first["feature_danceability"] == pytest.approx(0.591)
        assert tracks["529"]["feature_popularity"] is None
        assert "feature_general_genre_id" not in first

    def test_dirty_rows_are_accounted_for(self, source, tmp_path):
        with (source / "Stage2" / "interactions.csv").open("ab") as file:
            file.write(b"3,2,707,1625121151,good,0.47,-0.37,0.12,0.63,172.0,WD\n4,2\n")
        dataset = self.load(source, tmp_path / "d", max_rejects=1.0)
        assert_accounted(dataset)
        assert dataset.rejects().select("line", "column").rows() == [(5, ""), (4, "event")]

    @pytest.mark.parametrize("content", [b"[]", b'{"1": {"time": 1}}', b'{"1": '])
    def test_broken_situations_are_named(self, source, tmp_path, content):
        (source / "Stage2" / "env.json").write_bytes(content)
        with pytest.raises(BadInputError, match=r"env\.json"):
            self.load(source, tmp_path / "d")

    def test_the_real_study(self, shared_data, tmp_path):
        dataset = self.load(shared_data("situnes"), tmp_path / "d")
        assert_accounted(dataset)
        assert dataset.rejects().is_empty()
        events = dataset.events().collect()
        assert events.height == 600 + 897 + 509
        assert events["user_id"].n_unique() == 30
        assert events["context_daytime"].null_count() == 600
        assert dataset.tracks().height == 946
        assert dataset.tracks()["title"].null_count() == 10
