from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from audotics.registry import DatasetRecord, Registry, VersionRecord

FILES = {
    "features/terms.npy": b"terms" * 50,
    "retrieval/als/users.npy": b"\x00\xff" * 40,
    "recommender.json": b"{}",
}


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "models")


@pytest.fixture
def record() -> VersionRecord:
    return VersionRecord(
        name="nightly",
        code_version="0.1.0",
        config={"retrievers": {"als": {"rank": 64}}, "seed": None},
        dataset=DatasetRecord(fingerprint="f" * 64),
        metrics={"ndcg@20": 0.3},
        seeds={"split": 7},
        vocabulary_hash="v" * 64,
    )


@pytest.fixture
def publish(registry: Registry, record: VersionRecord) -> Callable[..., str]:
    def publish(files: Mapping[str, bytes] = FILES, **changes: object) -> str:
        with registry.stage() as staging:
            for name, content in files.items():
                (staging / name).parent.mkdir(parents=True, exist_ok=True)
                (staging / name).write_bytes(content)
            return registry.publish(staging, record.model_copy(update=changes))

    return publish
