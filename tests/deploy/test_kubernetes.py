"""The Kubernetes manifests are valid, fit each other, and name only what the image and the API have."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterator
from typing import Any

import kubernetes_validate
import pytest
import yaml

from audotics.errors import BadInputError, RefusedError
from audotics.serving.workers import GRACE_S
from audotics.settings import SECRETS_FOLDER, Settings
from contract.deployment import (
    DEPLOY,
    api_paths,
    assert_command_line_takes,
    environment,
    kubernetes_objects,
    run,
    stages,
    unknown_settings,
)

OBJECTS = kubernetes_objects()
VERSIONS = ("1.31", "1.34", "1.37")
SECRET = yaml.safe_load((DEPLOY / "kubernetes" / "secret.example.yaml").read_text(encoding="utf-8"))


def label(one: dict[str, Any]) -> str:
    return f"{one['kind']}/{one['metadata']['name']}"


def named(kind: str, name: str) -> dict[str, Any]:
    return next(one for one in OBJECTS if (one["kind"], one["metadata"]["name"]) == (kind, name))


DEPLOYMENT = named("Deployment", "audotics-server")
CRON_JOB = named("CronJob", "audotics-retrain")
PODS = {
    "server": DEPLOYMENT["spec"]["template"],
    "retrain": CRON_JOB["spec"]["jobTemplate"]["spec"]["template"],
}
pods = pytest.mark.parametrize("name", PODS)


def container(name: str) -> dict[str, Any]:
    (only,) = PODS[name]["spec"]["containers"]
    return only


def errors_of(one: dict[str, Any], version: str) -> str:
    """What the schema of a Kubernetes version says against an object; empty where nothing."""
    try:
        kubernetes_validate.validate(one, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return str(error.message)
    return ""


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("one", [*OBJECTS, SECRET], ids=label)
def test_every_object_is_what_kubernetes_takes(one, version):
    assert errors_of(one, version) == ""


def test_a_mistake_would_be_found():
    broken = copy.deepcopy(DEPLOYMENT)
    broken["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    assert "readynessProbe" in errors_of(broken, VERSIONS[0])


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kustomize_makes_the_same_objects():
    done = run("kubectl", "kustomize", "deploy/kubernetes")
    assert done.returncode == 0, done.stderr
    made = list(yaml.safe_load_all(done.stdout))
    assert sorted(one["kind"] for one in made) == sorted(one["kind"] for one in OBJECTS)
    images = {value for key, value in strings(made) if key == "image"}
    assert images == {"audotics-server:latest", "audotics-trainer:latest"}
    # The generated name stands where the map is used, too.
    (config,) = (one["metadata"]["name"] for one in made if one["kind"] == "ConfigMap")
    used = {
        one["configMapRef"]["name"]
        for thing in made
        for _, one in mappings(thing, "envFrom")
        if "configMapRef" in one
    }
    assert used == {config}


def strings(thing: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every string with the key that it stands under."""
    if isinstance(thing, dict):
        for name, value in thing.items():
            yield from strings(value, name)
    elif isinstance(thing, list):
        for value in thing:
            yield from strings(value, key)
    elif isinstance(thing, str):
        yield key, thing


def mappings(thing: Any, wanted: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every mapping in a list that stands under a key."""
    if isinstance(thing, dict):
        for name, value in thing.items():
            if name == wanted and isinstance(value, list):
                yield from ((name, one) for one in value)
            yield from mappings(value, wanted)
    elif isinstance(thing, list):
        for value in thing:
            yield from mappings(value, wanted)


def test_no_namespace_is_named():
    assert [label(one) for one in OBJECTS if "namespace" in one["metadata"]] == []


def test_no_secret_is_applied_with_the_rest():
    assert [label(one) for one in OBJECTS if one["kind"] == "Secret"] == []


def test_settings_exist_and_can_be_read(monkeypatch):
    data = named("ConfigMap", "audotics-settings")["data"]
    assert unknown_settings(data) == set()
    for variable, value in data.items():
        if variable != SECRETS_FOLDER:
            monkeypatch.setenv(variable, value)
    assert Settings().workers == 1


def test_the_secret_holds_settings_and_the_file_of_keys():
    data = named("ConfigMap", "audotics-settings")["data"]
    names = set(SECRET["stringData"])
    keys = data["AUDOTICS_KEYS"].removeprefix(data[SECRETS_FOLDER] + "/")
    assert keys in names
    assert unknown_settings(name.upper() for name in names - {keys}) == set()


@pods
def test_what_a_pod_names_exists(name):
    pod, spec = PODS[name]["spec"], container(name)
    assert named("ServiceAccount", pod["serviceAccountName"])
    assert all(named("ConfigMap", one["configMapRef"]["name"]) for one in spec["envFrom"])
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert named("PersistentVolumeClaim", volumes["models"]["persistentVolumeClaim"]["claimName"])
    assert volumes["secrets"]["secret"]["secretName"] == SECRET["metadata"]["name"]
    assert {mount["name"] for mount in spec["volumeMounts"]} == set(volumes)


@pods
def test_paths_are_mounted_where_settings_look(name):
    data = named("ConfigMap", "audotics-settings")["data"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container(name)["volumeMounts"]}
    assert mounts["models"] == data["AUDOTICS_MODELS"]
    assert mounts["secrets"] == data[SECRETS_FOLDER]
    assert mounts["tmp"] == "/tmp"  # noqa: S108 - a mount of its own


@pods
def test_a_pod_has_no_rights(name):
    pod, spec = PODS[name]["spec"], container(name)
    image = {"server": "Dockerfile.server", "retrain": "Dockerfile.trainer"}[name]
    user = next(one.text for one in stages(image)[-1] if one.word == "USER").split(":")[0]
    security = pod["securityContext"]
    assert security["runAsNonRoot"]
    assert security["runAsUser"] == security["runAsGroup"] == security["fsGroup"] == int(user)
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not pod["automountServiceAccountToken"]
    assert spec["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pods
def test_a_pod_asks_for_what_it_needs_and_is_bounded(name):
    resources = container(name)["resources"]
    assert set(resources["requests"]) == {"cpu", "memory"}
    assert gib(resources["limits"]["memory"]) >= gib(resources["requests"]["memory"]) > 0


def gib(amount: str) -> int:
    assert amount.endswith("Gi")
    return int(amount.removesuffix("Gi"))


@pods
def test_commands_are_what_the_command_line_takes(name):
    assert_command_line_takes(container(name)["args"])


def test_probes_ask_paths_that_exist_at_the_port_that_is_served():
    spec = container("server")
    (port,) = spec["ports"]
    arguments = spec["args"]
    assert int(arguments[arguments.index("--port") + 1]) == port["containerPort"]
    assert str(port["containerPort"]) == environment(stages("Dockerfile.server")[-1])["AUDOTICS_PORT"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = spec[probe]["httpGet"]
        assert asked["path"] in api_paths()
        assert asked["port"] == port["name"]
    assert spec["livenessProbe"]["httpGet"]["path"] == "/health/live"
    notes = PODS["server"]["metadata"]["annotations"]
    assert notes["prometheus.io/path"] in api_paths()
    assert notes["prometheus.io/port"] == str(port["containerPort"])


def test_a_pod_has_time_to_end():
    pod, spec = PODS["server"]["spec"], container("server")
    *_, wait_s = spec["lifecycle"]["preStop"]["exec"]["command"]
    assert pod["terminationGracePeriodSeconds"] > int(wait_s) + GRACE_S + 5


def test_selectors_find_the_servers():
    labels = PODS["server"]["metadata"]["labels"]
    port = container("server")["ports"][0]["name"]
    service = named("Service", "audotics-server")["spec"]
    assert service["selector"] == DEPLOYMENT["spec"]["selector"]["matchLabels"] == labels
    assert service["ports"][0]["targetPort"] == port
    assert named("PodDisruptionBudget", "audotics-server")["spec"]["selector"]["matchLabels"] == labels
    policy = named("NetworkPolicy", "audotics-server")["spec"]
    assert policy["podSelector"]["matchLabels"] == labels
    assert policy["ingress"][0]["ports"][0]["port"] == port
    retraining = named("NetworkPolicy", "audotics-retrain")["spec"]
    assert retraining["podSelector"]["matchLabels"] == PODS["retrain"]["metadata"]["labels"]
    assert "ingress" not in retraining and "Ingress" in retraining["policyTypes"]


def test_the_autoscaler_moves_the_deployment_and_a_disruption_leaves_servers():
    scaling = named("HorizontalPodAutoscaler", "audotics-server")["spec"]
    target = scaling["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", DEPLOYMENT["metadata"]["name"])
    assert "replicas" not in DEPLOYMENT["spec"]
    lost = named("PodDisruptionBudget", "audotics-server")["spec"]["maxUnavailable"]
    assert 1 <= lost < scaling["minReplicas"] <= scaling["maxReplicas"]
    # Utilisation is a share of what is requested.
    assert "cpu" in container("server")["resources"]["requests"]


@pytest.mark.parametrize("name", ["audotics", "audotics-events"])
def test_the_ingress_shows_the_api_and_nothing_of_the_inside(name):
    service = named("Service", "audotics-server")
    ports = {port["name"] for port in service["spec"]["ports"]}
    shown = {}
    for rule in named("Ingress", name)["spec"]["rules"]:
        for path in rule["http"]["paths"]:
            backend = path["backend"]["service"]
            assert backend["name"] == service["metadata"]["name"]
            assert backend["port"]["name"] in ports
            shown[path["path"]] = path["pathType"]
    for inside in ("/metrics", "/health/live", "/health/ready"):
        assert not any(inside.startswith(path) for path in shown)
    pages = {*api_paths(), "/docs", "/openapi.json"}
    for path, kind in shown.items():
        assert path in pages if kind == "Exact" else any(page.startswith(path) for page in pages)


def test_events_are_not_asked_again_elsewhere():
    key = "nginx.ingress.kubernetes.io/proxy-next-upstream"
    assert "non_idempotent" in named("Ingress", "audotics")["metadata"]["annotations"][key]
    assert "non_idempotent" not in named("Ingress", "audotics-events")["metadata"]["annotations"][key]


def test_retraining_is_one_at_a_time_and_a_refusal_is_not_repeated():
    spec = CRON_JOB["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    job = spec["jobTemplate"]["spec"]
    assert job["template"]["spec"]["restartPolicy"] == "Never"
    rule = job["podFailurePolicy"]["rules"][0]
    assert rule["action"] == "FailJob"
    codes = rule["onExitCodes"]
    assert codes["values"] == [BadInputError.exit_code, RefusedError.exit_code]
    assert codes["containerName"] == container("retrain")["name"]
