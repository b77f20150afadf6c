"""kill -9 at a random moment of publishing leaves the old version or the new one, never a mix."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from audotics.registry import Registry

# Imports once, then forks a publisher per line read, so that a kill costs milliseconds.
NURSERY = """
import os, sys
from pathlib import Path
from audotics.registry import DatasetRecord, Registry, VersionRecord

registry = Registry(Path(sys.argv[1]))
record = VersionRecord(name="kill", code_version="0", config={}, dataset=DatasetRecord(fingerprint="f"),
                       vocabulary_hash="v")
for line in sys.stdin:
    child = os.fork()
    while child == 0:
        with registry.stage() as staging:
            for part in "abcd":
                (staging / part).mkdir()
                (staging / part / "array.npy").write_bytes(os.urandom(20_000))
            version = registry.publish(staging, record)
        registry.set_alias("champion", version)
    print(child, flush=True)
    os.waitpid(child, 0)
    print("gone", flush=True)
"""


@pytest.mark.parametrize("n_kills", [30, pytest.param(300, marks=pytest.mark.slow)])
def test_no_version_and_no_alias_is_torn(tmp_path: Path, n_kills: int):
    registry = Registry(tmp_path)
    rng = random.Random(n_kills)  # noqa: S311
    longest_s = 0.05
    command = [sys.executable, "-c", NURSERY, str(tmp_path)]
    verified: set[str] = set()
    n_interrupted = 0
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as nursery:
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        for _ in range(n_kills):
            print("go", file=nursery.stdin, flush=True)
            child = int(nursery.stdout.readline())
            time.sleep(rng.uniform(0, longest_s))
            os.kill(child, signal.SIGKILL)
            assert nursery.stdout.readline() == "gone\n"
            new = set(registry.versions()) - verified
            for version in new:
                registry.verify(version)
            verified |= new
            # A slow or busy disk needs longer to get a version out, a fast one publishes many.
            longest_s *= 0.9 if new else 1.3
            for version in registry.aliases().values():
                assert version in verified
            n_interrupted += any((tmp_path / "versions").glob(".staging-*"))
        nursery.stdin.close()

    assert len(verified) > n_kills / 10, "publishing got somewhere between the kills"
    assert n_interrupted > n_kills / 10, "and was interrupted while at it"
    with registry.stage():
        assert len(list((tmp_path / "versions").glob(".staging-*"))) == 1, "what the dead left is gone"
