"""compose.yaml is what Docker Compose takes, and everything it names exists."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from audotics.settings import Settings, read_settings
from contract.deployment import (
    DEPLOY,
    api_paths,
    assert_command_line_takes,
    environment,
    program,
    run,
    stages,
    unknown_settings,
    values,
)

SERVERS = ("server-1", "server-2", "server-3")
OURS = (*SERVERS, "retrain")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """What Docker Compose itself makes of the file, all profiles on."""
    done = run(
        program("docker-compose"), "-f", "deploy/compose.yaml", "--profile", "*", "config", "--format", "json"
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    read: dict[str, Any] = json.loads(done.stdout)
    return read


@pytest.fixture(scope="module")
def services(compose) -> dict[str, Any]:
    return compose["services"]


def mounted(service: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The volumes of a service by where they are mounted."""
    return {volume["target"]: volume for volume in service.get("volumes", ())}


def test_a_mistake_would_be_found(tmp_path):
    broken = (DEPLOY / "compose.yaml").read_text(encoding="utf-8").replace("mem_limit", "memory_limit")
    (tmp_path / "compose.yaml").write_text(broken)
    done = run(program("docker-compose"), "-f", str(tmp_path / "compose.yaml"), "config", "--quiet")
    assert done.returncode != 0
    assert "memory_limit" in done.stderr


def test_everything_that_was_asked_for_is_there(services):
    others = {"nginx", "redis", "postgres", "tensorflow-serving", "prometheus", "grafana"}
    assert set(services) == {*OURS, *others}
    assert services["tensorflow-serving"]["profiles"] == ["tensorflow-serving"]


@pytest.mark.parametrize("name", OURS)
def test_our_services_are_settings_and_commands_that_exist(services, name, tmp_path, monkeypatch):
    service = services[name]
    assert unknown_settings(service["environment"]) == set()
    assert_command_line_takes(service["command"])
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "audotics_database_url").write_text(
        "postgresql+psycopg://audotics:swordfish@postgres/audotics"
    )
    for variable, value in service["environment"].items():
        monkeypatch.setenv(variable, str(secrets) if variable == "AUDOTICS_SECRETS" else value)
    monkeypatch.chdir(tmp_path)
    assert "swordfish" in read_settings().database_url.get_secret_value()


@pytest.mark.parametrize("name", OURS)
def test_our_images_are_built_from_the_dockerfiles(services, name):
    build = services[name]["build"]
    dockerfile = Path(build["context"], build["dockerfile"])
    assert dockerfile.is_file()
    declared = {text.split("=")[0] for text in values(stages(dockerfile.name)[0], "ARG")}
    assert set(build.get("args", {})) <= declared
    models = environment(stages(dockerfile.name)[-1])["AUDOTICS_MODELS"]
    assert mounted(services[name])[models]["source"] == "models"


def test_servers_differ_in_nothing_but_their_names(services):
    first, *others = (services[name] for name in SERVERS)
    assert all(other == first for other in others)


def test_the_balancer_knows_every_server_by_name_and_port(services):
    text = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    upstreams = dict(re.findall(r"^    server ([\w-]+):(\d+) ", text, re.MULTILINE))
    port = environment(stages("Dockerfile.server")[-1])["AUDOTICS_PORT"]
    assert upstreams == dict.fromkeys(SERVERS, port)
    assert re.findall(r"listen (\d+);", text) == [str(services["nginx"]["ports"][0]["target"])]
    assert set(services["nginx"]["depends_on"]) == set(SERVERS)
    for location in re.findall(r"location = (\S+)", text):
        assert location in api_paths()


def test_services_can_write_nowhere_but_into_their_volumes_and_gain_no_rights(services):
    for name, service in services.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert int(service["mem_limit"]) > 0, name


@pytest.mark.parametrize("name", OURS)
def test_our_services_have_no_rights_at_all_and_a_place_for_temporary_files(services, name):
    assert "cap_add" not in services[name]
    assert "/tmp" in services[name]["tmpfs"]  # noqa: S108 - a mount of its own


def test_only_the_balancer_is_open_and_grafana_to_this_machine(services):
    published = {
        name: [port.get("host_ip", "") for port in service["ports"]]
        for name, service in services.items()
        if "ports" in service
    }
    assert published == {"nginx": [""], "grafana": ["127.0.0.1"]}


def test_stores_are_reached_from_the_inner_network_alone(compose, services):
    assert compose["networks"]["back"]["internal"]
    for name in ("redis", "postgres", "tensorflow-serving", "retrain"):
        assert set(services[name]["networks"]) == {"back"}, name
    assert "back" not in services["nginx"]["networks"]


def test_addresses_in_settings_are_services(services):
    for name in OURS:
        for value in services[name]["environment"].values():
            for host in re.findall(r"://(?:[^@/]*@)?([\w-]+)", value):
                assert host in services, f"{name}: {value}"


def test_images_of_others_have_a_version(services):
    for name, service in services.items():
        if name not in OURS:
            assert re.search(r":v?\d+(\.\d+)*(-\w+)?$", service["image"]), service["image"]


def test_what_is_mounted_from_here_exists(services):
    for name, service in services.items():
        for volume in service.get("volumes", ()):
            source = Path(volume["source"])
            if volume["type"] == "bind" and source != DEPLOY / "data":
                assert source.exists(), f"{name}: {source}"


def test_secrets_are_files_that_git_ignores(compose, services):
    ignored = (DEPLOY.parent / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "/deploy/secrets/" in ignored
    for name, secret in compose["secrets"].items():
        assert Path(secret["file"]).parent == DEPLOY / "secrets", name
    used = {one["source"] for service in services.values() for one in service.get("secrets", ())}
    assert used == set(compose["secrets"])


def test_no_password_stands_in_an_environment(services):
    for name, service in services.items():
        for variable, value in (service.get("environment") or {}).items():
            if re.search(r"PASSWORD|TOKEN|KEY", variable):
                assert str(value).startswith("/run/secrets/"), f"{name}: {variable}"


def test_servers_get_longer_to_end_than_they_take(services):
    from audotics.serving.workers import GRACE_S

    for name in SERVERS:
        assert float(services[name]["stop_grace_period"].removesuffix("s")) > GRACE_S + 5


def test_prometheus_reads_its_mounted_configuration_and_asks_servers_that_exist(services):
    path = DEPLOY / "prometheus" / "prometheus.yml"
    options = dict(option.split("=", 1) for option in services["prometheus"]["command"])
    where = mounted(services["prometheus"])["/etc/prometheus"]
    assert options["--config.file"] == "/etc/prometheus/prometheus.yml"
    assert Path(where["source"]) == path.parent
    read = yaml.safe_load(path.read_text(encoding="utf-8"))
    targets = {
        target
        for job in read["scrape_configs"]
        for group in job.get("static_configs", ())
        for target in group["targets"]
    }
    assert {f"{name}:8000" for name in SERVERS} <= targets
    assert {target.split(":")[0] for target in targets} <= {*services, "localhost"}


def test_redis_and_postgres_have_the_settings_that_servers_ask_for(services):
    assert services["redis"]["command"][-1] in mounted(services["redis"])
    asked = services["postgres"]["environment"]
    assert (asked["POSTGRES_USER"], asked["POSTGRES_DB"]) == ("audotics", "audotics")
    assert Settings.model_fields["redis_url"].default is None
    assert services["server-1"]["environment"]["AUDOTICS_REDIS_URL"] == "redis://redis:6379/0"
