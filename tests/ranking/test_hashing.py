import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from audotics.ranking.hashing import hashed_index


@given(st.text(max_size=30), st.integers(0, 1000), st.integers(1, 50))
def test_hashed_indices_stay_in_their_range(key, n_known, n_hashed):
    assert n_known <= hashed_index(key, n_known, n_hashed) < n_known + n_hashed


def test_hashed_indices_are_the_same_for_ever():
    # Changing these breaks every saved model that has met new ids.
    keys = ("", "track-1", "Björk")
    assert [hashed_index(key, 100, 64) for key in keys] == [152, 162, 147]


def test_hashed_rows_are_used_evenly():
    counts = np.bincount([hashed_index(f"user{i}", 0, 10) for i in range(5000)], minlength=10)
    assert counts.min() > 400


def test_hashing_needs_no_keras():
    program = "import sys, audotics.ranking.hashing; print({'keras', 'tensorflow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
