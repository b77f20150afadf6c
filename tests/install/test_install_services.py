import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "install-services"

FAKES = {
    "apt-get": '#!/bin/sh\necho "apt-get $*"\n',
    "id": "#!/bin/sh\necho {uid}\n",
    "ls": '#!/bin/sh\nexec /bin/ls "$@"\n',
}


@pytest.fixture
def install_services(tmp_path):
    """Runs the script on a machine that has the given programs only."""

    def run(*programs: str, uid: int = 0, apt: bool = True) -> subprocess.CompletedProcess[str]:
        for name, text in FAKES.items():
            if name != "apt-get" or apt:
                (tmp_path / name).write_text(text.format(uid=uid))
                (tmp_path / name).chmod(0o755)
        for program in programs:
            (tmp_path / program).write_text("#!/bin/sh\n")
            (tmp_path / program).chmod(0o755)
        # The script looks into /usr/sbin too: point it elsewhere.
        script = tmp_path / "install-services"
        script.write_text(SCRIPT.read_text().replace(":/usr/sbin:/usr/local/sbin", ""))
        return subprocess.run(
            ["/bin/sh", script],
            env={"PATH": str(tmp_path), "POSTGRESQL": str(tmp_path / "postgresql")},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_where_all_is_there_nothing_happens(install_services):
    done = install_services(
        "redis-server", "initdb", "nginx", "wrk", "strace", "promtool", uid=1000, apt=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_programs_off_the_path_are_found(install_services, tmp_path):
    (tmp_path / "postgresql/15/bin").mkdir(parents=True)
    (tmp_path / "postgresql/15/bin/initdb").touch()
    assert install_services("redis-server", "nginx", "wrk", "strace", "promtool", apt=False).returncode == 0


def test_only_what_is_missing_is_installed(install_services):
    done = install_services("redis-server", "wrk", "strace", "promtool")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "Installing postgresql nginx-light",
        "apt-get update -q",
        "apt-get install -y --no-install-recommends postgresql nginx-light",
    ]


def test_without_rights_the_command_is_told(install_services):
    done = install_services("initdb", "nginx", "wrk", "strace", "promtool", uid=1000)
    assert done.returncode == 1
    assert done.stderr == (
        "error: tests need redis-server. "
        "Install them: sudo apt-get install -y --no-install-recommends redis-server\n"
    )


def test_without_apt_the_packages_are_named(install_services):
    done = install_services(apt=False)
    assert done.returncode == 1
    assert (
        "tests need redis-server postgresql nginx-light wrk strace prometheus (names as in Debian)"
        in done.stderr
    )
