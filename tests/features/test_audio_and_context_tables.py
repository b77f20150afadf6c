"""The audio block of a catalogue, and the context encoder inside scikit-learn."""

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import audotics.features
from audotics.data import schema
from audotics.data.queries import NO_TIME
from audotics.features.audio import audio_features
from audotics.features.context import ContextEncoder
from audotics.features.context_transformer import ContextTransformer


def catalogue(**columns: list[Any]) -> pl.DataFrame:
    n = len(next(iter(columns.values())))
    nulls = {name: [None] * n for name in schema.TRACKS}
    nulls["track_id"] = [f"t{i}" for i in range(n)]
    table = pl.DataFrame(
        {**nulls, **{name: cells for name, cells in columns.items() if name in nulls}}, schema=schema.TRACKS
    )
    extra = [pl.Series(name, cells, dtype=pl.Float32) for name, cells in columns.items() if name not in nulls]
    return table.with_columns(extra)


def test_tracks_without_audio_are_the_average() -> None:
    block = audio_features(catalogue(feature_a=[1.0, None, 3.0], duration_ms=[100, None, None]))
    assert block.dtype == np.float32
    assert block.shape[0] == 3 and block.shape[1] >= 1
    np.testing.assert_array_equal(block[1], 0)
    assert block[0, 0] == pytest.approx(-block[2, 0])


def test_only_audio_counts_and_components_are_bounded() -> None:
    rng = np.random.default_rng(0)
    embedding = rng.normal(size=(20, 8)).astype(np.float32).tolist()
    years = [date(1990 + i, 1, 1) for i in range(20)]
    with_year = catalogue(embedding=embedding, released=years, genres=[["rock"], ["pop"]] * 10)
    without = catalogue(embedding=embedding)
    np.testing.assert_array_equal(audio_features(with_year), audio_features(without))
    assert audio_features(without).shape == (20, 8)
    assert audio_features(without, n_components=3).shape == (20, 3)


def test_distances_survive_when_nothing_is_cut() -> None:
    numbers = np.random.default_rng(1).normal(size=(30, 2))
    block = audio_features(catalogue(feature_a=numbers[:, 0].tolist(), feature_b=numbers[:, 1].tolist()))
    scaled = (numbers - numbers.mean(axis=0)) / numbers.std(axis=0)
    expected = np.linalg.norm(scaled[:, None] - scaled[None], axis=2)
    np.testing.assert_allclose(np.linalg.norm(block[:, None] - block[None], axis=2), expected, atol=1e-4)


@pytest.mark.parametrize(
    "table", [catalogue(title=["x", "y"]), catalogue(feature_a=[2.0, 2.0]), catalogue(title=[])]
)
def test_a_catalogue_without_audio_has_no_columns(table: pl.DataFrame) -> None:
    assert audio_features(table).shape == (table.height, 0)


EVENTS = pl.DataFrame(
    {
        "timestamp": [datetime(2026, 11, 23, hour, tzinfo=UTC) for hour in (8, 9, 20)] + [None],
        "device": ["phone", "phone", "web", None],
        "country": ["SE", None, "DE", "SE"],
    },
    schema={"timestamp": schema.TIMESTAMP, "device": pl.String, "country": pl.String},
)


def test_the_transformer_says_what_the_encoder_says() -> None:
    transformer = ContextTransformer(n_devices=1).fit(EVENTS)
    encoder = ContextEncoder(n_devices=1).fit(EVENTS)
    at = EVENTS["timestamp"].dt.epoch("us").fill_null(NO_TIME).to_numpy()
    expected = encoder.encode(at, tuple(EVENTS["device"]), tuple(EVENTS["country"]))
    np.testing.assert_array_equal(transformer.transform(EVENTS), expected)
    assert transformer.get_feature_names_out().tolist() == list(encoder.names)
    assert transformer.transform(EVENTS.drop("timestamp", "device"))[:, :7].any() == np.False_


def test_the_transformer_is_an_estimator() -> None:
    transformer = ContextTransformer(n_countries=1)
    assert clone(transformer).get_params() == {"n_countries": 1, "n_devices": 8}
    with pytest.raises(NotFittedError):
        transformer.transform(EVENTS)
    frame = transformer.set_output(transform="polars").fit_transform(EVENTS)
    assert frame.columns[-2:] == ["country=SE", "country=other"]
    model = make_pipeline(ContextTransformer(), LogisticRegression()).fit(EVENTS, [0, 0, 1, 0])
    assert model.predict(EVENTS)[2] == 1


def test_pandas_events_are_the_same_events() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(EVENTS.to_dict(as_series=False))
    np.testing.assert_array_equal(
        ContextTransformer().fit_transform(frame), ContextTransformer().fit_transform(EVENTS)
    )


@pytest.mark.parametrize("name", audotics.features.__all__)
def test_public_names_load_on_use(name: str) -> None:
    assert getattr(audotics.features, name).__name__ == name


def test_unknown_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        audotics.features.nonsense  # noqa: B018
    assert "DataProcessor" in dir(audotics.features)
