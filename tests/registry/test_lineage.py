import os
import platform
from pathlib import Path

import numpy as np
import pytest

from audotics.registry.lineage import code_version, environment
from audotics.version import __version__

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SHOWN = f"{__version__}+g0123456789ab"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose package is src/audotics."""
    (tmp_path / "src" / "audotics").mkdir(parents=True)
    (tmp_path / ".git" / "refs" / "heads").mkdir(parents=True)
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (tmp_path / ".git" / "refs" / "heads" / "main").write_text(COMMIT + "\n")
    return tmp_path


def shown(root: Path) -> str:
    return code_version(root / "src" / "audotics")


def test_the_commit_of_a_branch(checkout):
    assert shown(checkout) == SHOWN


def test_the_commit_of_a_packed_branch(checkout):
    (checkout / ".git" / "refs" / "heads" / "main").unlink()
    (checkout / ".git" / "packed-refs").write_text(
        f"# pack-refs with: peeled sorted\n{'f' * 40} refs/heads/mainline\n{COMMIT} refs/heads/main\n"
    )
    assert shown(checkout) == SHOWN


def test_a_commit_checked_out_by_itself(checkout):
    (checkout / ".git" / "HEAD").write_text(COMMIT)
    assert shown(checkout) == SHOWN


def test_a_linked_work_tree(checkout, tmp_path):
    linked = tmp_path / "linked"
    (linked / "src" / "audotics").mkdir(parents=True)
    own = checkout / ".git" / "worktrees" / "linked"
    own.mkdir(parents=True)
    (linked / ".git").write_text(f"gitdir: {own}\n")
    (own / "HEAD").write_text("ref: refs/heads/main\n")
    (own / "commondir").write_text("../..\n")
    assert shown(linked) == SHOWN


@pytest.mark.parametrize("head", ["", "ref: refs/heads/none", "no commit", "\xff"])
def test_an_unreadable_head_names_no_commit(checkout, head):
    (checkout / ".git" / "HEAD").write_text(head, encoding="latin-1")
    assert shown(checkout) == __version__


def test_a_package_installed_inside_another_checkout_has_no_commit(checkout):
    installed = checkout / "venv" / "site-packages" / "audotics"
    installed.mkdir(parents=True)
    assert code_version(installed) == __version__


def test_without_git_there_is_no_commit(tmp_path):
    (tmp_path / "src" / "audotics").mkdir(parents=True)
    assert shown(tmp_path) == __version__


def test_the_environment_names_python_system_and_libraries():
    found = environment()
    assert found["python"] == platform.python_version()
    assert found["numpy"] == np.__version__
    assert found["cores"] == str(os.cpu_count())
    assert all(isinstance(value, str) and value for value in found.values())
