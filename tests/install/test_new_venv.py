import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "new-venv"

FAKE_PYTHON = """#!/bin/sh
case "$*" in
  --version) echo "Python {version}.1" ;;
  *sys.version_info*) echo "{version}" ;;
  *"import ensurepip"*) exit {without_venv} ;;
  *"-m venv"*) echo "made by $0 $*" ;;
esac
"""


@pytest.fixture
def new_venv(tmp_path):
    """Runs the script where only the given Pythons are on the PATH: name -> (version, has venv)."""

    def run(pythons: dict[str, tuple[str, bool]], **environment: str) -> subprocess.CompletedProcess[str]:
        for name, (version, has_venv) in pythons.items():
            python = tmp_path / name
            python.write_text(FAKE_PYTHON.format(version=version, without_venv=int(not has_venv)))
            python.chmod(0o755)
        (tmp_path / "head").symlink_to("/usr/bin/head")
        return subprocess.run(
            ["/bin/sh", SCRIPT, ".venv"],
            env={"PATH": str(tmp_path), **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_the_usual_python_is_used_where_it_is_new_enough(new_venv):
    done = new_venv({"python3": ("3.12", True), "python3.13": ("3.13", True)})
    assert done.returncode == 0
    assert "Creating .venv with Python 3.12" in done.stdout
    assert done.stdout.endswith("python3 -m venv --clear .venv\n")


@pytest.mark.parametrize("unsuitable", ["3.9", "3.14", "2.7"])
def test_another_python_is_found_where_the_usual_one_does_not_suit(new_venv, unsuitable):
    done = new_venv({"python3": (unsuitable, True), "python3.11": ("3.11", True)})
    assert "Creating .venv with Python 3.11" in done.stdout


def test_a_shim_without_its_python_is_passed_over(new_venv, tmp_path):
    (tmp_path / "python3.13").write_text("#!/bin/sh\necho 'command not found' >&2\nexit 127\n")
    (tmp_path / "python3.13").chmod(0o755)
    assert "with Python 3.11" in new_venv({"python3.11": ("3.11", True)}).stdout


def test_a_python_without_venv_is_passed_over(new_venv):
    done = new_venv({"python3": ("3.11", False), "python3.12": ("3.12", True)})
    assert "with Python 3.12" in done.stdout


def test_the_package_to_install_is_named(new_venv):
    done = new_venv({"python3": ("3.11", False)})
    assert done.returncode == 1
    assert "apt install python3.11-venv" in done.stderr


def test_only_an_older_python_is_said_clearly(new_venv):
    done = new_venv({"python3": ("3.9", True)})
    assert done.returncode == 1
    assert "no Python 3.11, 3.12 or 3.13 on the PATH (python3 is: Python 3.9.1)" in done.stderr
    assert "make PYTHON=" in done.stderr


def test_no_python_at_all_is_said_clearly(new_venv):
    done = new_venv({})
    assert done.returncode == 1
    assert "no Python 3.11" in done.stderr


def test_a_chosen_python_comes_first(new_venv):
    done = new_venv({"python3": ("3.12", True), "mine": ("3.13", True)}, PYTHON="mine")
    assert "Creating .venv with Python 3.13" in done.stdout
