"""Spotify hit predictor tracks: small files of its shape, and the real catalogue."""

from __future__ import annotations

import pytest

from audotics.data.formats import get_format
from audotics.data.formats.protocol import FormatOptions
from audotics.data.importing import import_dataset
from audotics.errors import BadInputError
from contract.format_contract import FormatContract, assert_accounted, lines, write_files

HEADER = (
    "track,artist,uri,danceability,energy,key,loudness,mode,speechiness,acousticness,instrumentalness,"
    "liveness,valence,tempo,duration_ms,time_signature,chorus_hit,sections,target"
)
SOUND = "0.741,0.626,1,-4.826,0,0.0886,4.42E-06,0,0.0828,0.706,108.029,188493,4,41.18681,10"
FILES = {
    "dataset-of-10s.csv": lines(
        HEADER,
        f"Wild Things,Alessia Cara,spotify:track:one,{SOUND},1",
        f'"Heavy Metal, ""Raise"" Hell!",Zwartketterij,spotify:track:two,{SOUND},0',
    ),
    "dataset-of-60s.csv": lines(HEADER, f"Mi Bomba Sonó,Celia Cruz,spotify:track:two,{SOUND},1"),
}


class TestSpotifyTracks(FormatContract):
    format_name = "spotify-tracks"
    n_events = 1
    lone_file = "dataset-of-60s.csv"

    def write(self, folder):
        return write_files(folder, FILES)

    def load(self, source, target, **options):
        """There are no listeners in it: a file of events comes from elsewhere."""
        own = write_files(target.parent / "own", {"e.csv": lines("user_id,track_id", "anna,one")})
        return super().load(source, target, events=own / "e.csv", **options)

    def test_detection_and_name_give_the_same_data(self, source, tmp_path):
        named = self.load(source, tmp_path / "named")
        events = tmp_path / "own" / "e.csv"
        found = import_dataset(source, "auto", tmp_path / "detected", events=events).dataset
        assert found.manifest.fingerprint == named.manifest.fingerprint

    def test_tracks_have_names_and_sound(self, source, tmp_path):
        tracks = {t["track_id"]: t for t in self.load(source, tmp_path / "d").tracks().iter_rows(named=True)}
        assert set(tracks) == {"one", "two"}
        assert tracks["two"]["title"] == 'Heavy Metal, "Raise" Hell!'
        assert tracks["one"]["duration_ms"] == 188_493
        assert tracks["one"]["feature_tempo"] == pytest.approx(108.029)
        assert tracks["one"]["feature_acousticness"] == pytest.approx(4.42e-06)
        assert "feature_target" not in tracks["one"]

    def test_alone_it_is_no_dataset(self, source, tmp_path):
        with pytest.raises(BadInputError, match="no events"):
            import_dataset(source, self.format_name, tmp_path / "d")

    def test_dirty_rows_are_accounted_for(self, source, tmp_path):
        with (source / "dataset-of-60s.csv").open("ab") as file:
            file.write(f"x,y,,{SOUND},1\nx,y\n".encode())
            file.write(
                b"Bj\xf6rk,J\xf3ga,spotify:track:three," + SOUND.replace("108.029", "fast").encode() + b",1\n"
            )
        dataset = self.load(source, tmp_path / "d", max_rejects=1.0)
        assert_accounted(dataset)
        found = {(r["line"], r["column"]) for r in dataset.rejects().iter_rows(named=True)}
        assert found == {(3, "track_id"), (4, ""), (5, "feature_tempo")}

    def test_a_missing_column_is_named(self, tmp_path):
        source = write_files(tmp_path / "s", {"dataset-of-60s.csv": lines("track,artist,uri,danceability")})
        with pytest.raises(BadInputError, match="energy"):
            for table in get_format(self.format_name).tables(source, FormatOptions()):
                list(table.chunks)

    def test_the_real_catalogue(self, shared_data, tmp_path):
        dataset = self.load(shared_data("spotify-hit-tracks"), tmp_path / "d")
        assert_accounted(dataset)
        assert dataset.manifest.counts["tracks.decades"].read == 41_106
        assert 40_000 < dataset.tracks().height < 41_106
        assert dataset.tracks()["feature_tempo"].null_count() == 0
