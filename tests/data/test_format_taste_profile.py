"""Echo Nest Taste Profile: small files of its published shape."""

from __future__ import annotations

from audotics.data.formats import detect
from contract.format_contract import FormatContract, assert_accounted, lines, tabbed, write_files

USER = "b80344d063b5ccb3212f76538f3d9e43d87dca9e"
OTHER = "85c1f87fea955d09b4bec2e36aee110927aedf9a"
ONE, TWO, THREE = "SOAKIMP12A8C130995", "SOAPDEY12A81C210A9", "SOBBMDR12A8C13253B"
FILES = {
    "train_triplets.txt": tabbed((USER, ONE, 1), (USER, TWO, 12), (OTHER, ONE, 3)),
    "unique_tracks.txt": lines(
        f"TRMMMYQ128F932D901<SEP>{ONE}<SEP>Faster Pussy cat<SEP>Silent Night",
        f"TRMMMKD128F425225D<SEP>{TWO}<SEP>Karkkiautomaatti<SEP>Tanssi vaan",
        f"TRMMMRX128F93187D9<SEP>{TWO}<SEP>Karkkiautomaatti<SEP>Tanssi vaan (live)",
        f'TRMMMCH128F425532C<SEP>{THREE}<SEP>Yerba Brava<SEP>Si "Vos" Querés',
    ),
}


class TestTasteProfile(FormatContract):
    format_name = "taste-profile"
    n_events = 3
    lone_file = "train_triplets.txt"

    def write(self, folder):
        return write_files(folder, FILES)

    def test_triplets_become_counts(self, source, tmp_path):
        events = self.load(source, tmp_path / "d").events().collect()
        assert sorted(events.select("user_id", "track_id", "plays").rows()) == [
            (OTHER, ONE, 3.0),
            (USER, ONE, 1.0),
            (USER, TWO, 12.0),
        ]

    def test_the_first_recording_names_a_song(self, source, tmp_path):
        dataset = self.load(source, tmp_path / "d")
        assert sorted(dataset.tracks().select("track_id", "artist", "title").rows()) == [
            (ONE, "Faster Pussy cat", "Silent Night"),
            (TWO, "Karkkiautomaatti", "Tanssi vaan"),
            (THREE, "Yerba Brava", 'Si "Vos" Querés'),
        ]
        assert dataset.manifest.counts["tracks.names"].read == 4
        assert_accounted(dataset)

    def test_a_file_of_another_name_is_known_by_its_song_ids(self, tmp_path):
        file = tmp_path / "visible.txt"
        file.write_bytes(FILES["train_triplets.txt"])
        assert detect(file).name == "taste-profile"

    def test_names_are_optional(self, source, tmp_path):
        (source / "unique_tracks.txt").unlink()
        assert self.load(source, tmp_path / "d").tracks().is_empty()

    def test_dirty_lines_are_accounted_for(self, source, tmp_path):
        with (source / "train_triplets.txt").open("ab") as file:
            file.write(f"{USER}\t{THREE}\tmany\n{USER}\t{THREE}\n{USER}\t\t1\n{USER}\t{ONE}\t1\r\n".encode())
        with (source / "unique_tracks.txt").open("ab") as file:
            file.write(b"TR1<SEP>SO1<SEP>Bj\xf6rk<SEP>J\xf3ga\nTR2<SEP>SO2<SEP>half a line\n")
        dataset = self.load(source, tmp_path / "d", max_rejects=1.0)
        assert_accounted(dataset)
        found = {(r["file"], r["line"], r["column"]) for r in dataset.rejects().iter_rows(named=True)}
        assert found == {
            ("train_triplets.txt", 4, "plays"),
            ("train_triplets.txt", 5, ""),
            ("train_triplets.txt", 6, "track_id"),
            ("unique_tracks.txt", 6, ""),
        }
        assert dataset.manifest.counts["events"].merged == 1
        assert "Björk" in set(dataset.tracks()["artist"])
