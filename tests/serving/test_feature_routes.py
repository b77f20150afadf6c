"""scikit-learn's preprocessing over HTTP: the same numbers as in training."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from starlette.testclient import TestClient

from contract.openapi import operations
from contract.planted import planted_tracks, planted_users
from contract.small_version import small_processors


def features(api: TestClient, table: str, rows: list[dict[str, object]]) -> dict[str, object]:
    answer = api.post(f"/v1/features/{table}", json={table: rows})
    assert answer.status_code == 200, answer.text
    page = {one.name: one for one in operations(api.get("/openapi.json").json())}
    page[f"POST /v1/features/{table}"].check(answer)
    return answer.json()


def rows_of(table: pl.DataFrame) -> list[dict[str, object]]:
    return [{name: cell for name, cell in row.items() if cell is not None} for row in table.to_dicts()]


def test_features_of_tracks_are_those_of_training(api: TestClient, models):
    table = planted_tracks().with_columns(feature_tempo=pl.int_range(90).cast(pl.Float64) % 7)
    said = features(api, "tracks", rows_of(table))
    processor = small_processors()["tracks"]
    np.testing.assert_allclose(said["features"], processor.transform(table), atol=1e-9)
    assert said["names"] == processor.get_feature_names_out().tolist()
    assert said["model_version"] == models.first


def test_features_of_listeners_are_those_of_training(api: TestClient):
    table = planted_users().with_columns(
        country=pl.Series(["DE", "FR", "JP"] * 30), birth_year=pl.int_range(90).cast(pl.Int32) % 40 + 1960
    )
    said = features(api, "users", rows_of(table.drop("friends")))
    expected = small_processors()["users"].transform(table)
    dense = expected.toarray() if hasattr(expected, "toarray") else expected
    assert dense.shape[1] >= 4
    np.testing.assert_allclose(said["features"], dense, atol=1e-9)


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"genres": ["never heard of"], "tags": []},
        {"artist": "Nobody", "released": "1999", "explicit": True, "duration_ms": 10**30},
        {"released": "1999-12-31", "feature_unknown": 1.5, "feature_tempo": None},
        {"feature_tempo": 1e308},
    ],
)
def test_whatever_is_unknown_may_be_missing(api: TestClient, row: dict[str, object]):
    (vector,) = features(api, "tracks", [row])["features"]
    assert np.isfinite(vector).all()


def test_no_rows_give_no_features(api: TestClient):
    assert features(api, "tracks", [])["features"] == []


@pytest.mark.parametrize(
    ("table", "row", "field"),
    [
        ("tracks", {"colour": "red"}, "colour"),
        ("tracks", {"feature_tempo": "fast"}, "feature_tempo"),
        ("tracks", {"feature_tempo": True}, "feature_tempo"),
        ("tracks", {"genres": "pop"}, "genres"),
        ("users", {"birth_year": "young"}, "birth_year"),
        ("users", {"friends": ["u1"]}, "friends"),
    ],
)
def test_what_is_no_row_is_refused(api: TestClient, table: str, row: dict[str, object], field: str):
    refused = api.post(f"/v1/features/{table}", json={table: [{}, row]})
    assert refused.status_code == 422
    assert field in refused.text
    assert f"body.{table}.1" in refused.json()["errors"][0]["field"]


def test_a_day_that_is_none_is_refused(api: TestClient):
    refused = api.post("/v1/features/tracks", json={"tracks": [{"released": "2021-02-30"}]})
    assert refused.status_code == 400
    assert "2021-02-30" in refused.json()["detail"]


def test_at_most_a_thousand_rows(api: TestClient):
    assert len(features(api, "tracks", [{}] * 1000)["features"]) == 1000
    assert api.post("/v1/features/tracks", json={"tracks": [{}] * 1001}).status_code == 422


def test_a_version_without_pipelines_says_so(open_api, own_models):
    api = open_api(models=own_models.folder)
    (own_models.folder / "versions" / own_models.first / "features" / "users.skops").unlink()
    refused = api.post("/v1/features/users", json={"users": [{}]})
    assert refused.status_code == 404
    assert own_models.first in refused.json()["detail"]


def test_a_pipeline_with_foreign_types_is_refused(open_api, own_models):
    from sklearn.linear_model import LogisticRegression
    from skops import io as skops_io

    api = open_api(models=own_models.folder)
    path = own_models.folder / "versions" / own_models.first / "features" / "tracks.skops"
    path.write_bytes(skops_io.dumps(LogisticRegression()))
    refused = api.post("/v1/features/tracks", json={"tracks": [{}]})
    assert refused.status_code == 409


ASKS = """
import sys
from starlette.testclient import TestClient
from audotics.serving.app import create_app
from audotics.settings import Settings

settings = Settings(models=sys.argv[1], database_url=f"sqlite:///{sys.argv[2]}")
with TestClient(create_app(settings)) as api:
    assert "sklearn" not in sys.modules
    assert api.post("/v1/features/tracks", json={"tracks": [{}]}).status_code == 200
    assert "sklearn" in sys.modules
"""


def test_scikit_learn_is_loaded_when_somebody_asks(models, tmp_path: Path):
    asked = [sys.executable, "-W", "ignore", "-c", ASKS, str(models.folder), str(tmp_path / "journal.db")]
    subprocess.run(asked, check=True)
