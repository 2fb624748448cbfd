"""The Kubernetes manifests: rendered by kustomize, valid by Kubernetes' own schemas, without rights, and true to this version.

Nothing is applied to a cluster.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft202012Validator
from typer.main import get_command

from api.cli.main import app
from api.settings import PREFIX, Settings, is_secret
from coordination import lanes
from tests.services import kustomize
from tests.tree import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
VERSION = "1.33"
Manifest = dict[str, Any]


def written() -> Iterator[tuple[Path, Manifest]]:
    """Every resource as its file says it, without what kustomize adds."""
    for path in sorted(FOLDER.glob("*/*.yaml")):
        if path.name != "kustomization.yaml":
            for form in yaml.safe_load_all(path.read_text()):
                yield path, form


def name(item: Manifest) -> str:
    return f"{item['kind']}/{item['metadata']['name']}"


WRITTEN = {f"{path.parent.name}/{name(form)}": form for path, form in written()}
BUILT_IN = {key: form for key, form in WRITTEN.items() if not form["apiVersion"].startswith("keda.sh")}
PODS = {key: form for key, form in WRITTEN.items() if form["kind"] in ("Deployment", "Job")}


def rendered(folder: str) -> dict[str, Manifest]:
    return {name(form): form for form in yaml.safe_load_all(kustomize.render(FOLDER / folder))}


def pod(form: Manifest) -> Manifest:
    found: Manifest = form["spec"]["template"]["spec"]
    return found


@pytest.mark.parametrize("key", BUILT_IN)
def test_each_resource_is_valid_by_kubernetes_own_schema(key: str) -> None:
    kubernetes_validate.validate(BUILT_IN[key], VERSION, strict=True)


def test_the_schema_refuses_what_it_does_not_know() -> None:
    broken = json.loads(json.dumps(BUILT_IN["platform/Deployment/noesis-worker"]))
    broken["spec"]["replcas"] = 2
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, VERSION, strict=True)


def test_kustomize_renders_the_base_and_each_resource_of_it_is_valid() -> None:
    made = rendered("platform")
    kinds = sorted(form["kind"] for form in made.values())
    assert {"Deployment", "Job", "Service", "NetworkPolicy", "PodDisruptionBudget", "HorizontalPodAutoscaler"} <= set(
        kinds
    )
    for form in made.values():
        kubernetes_validate.validate(form, VERSION, strict=True)
        assert form["metadata"]["namespace"] == "noesis"
    settings = next(key for key in made if key.startswith("ConfigMap/"))
    for key in ("Deployment/noesis-api", "Deployment/noesis-worker", "Deployment/noesis-indexer", "Job/noesis-init"):
        spec = pod(made[key])
        assert spec["containers"][0]["image"] == "noesis:0.1.0"
        assert spec["containers"][0]["envFrom"][0]["configMapRef"]["name"] == settings.split("/")[1]
        labels = made[key]["spec"]["template"]["metadata"]["labels"]
        assert labels["app.kubernetes.io/part-of"] == "noesis", "the policy of the network finds every pod by it"


def test_with_keda_the_depth_of_the_queues_alone_scales_the_workers() -> None:
    made = rendered("keda")
    assert "HorizontalPodAutoscaler/noesis-worker" not in made
    assert "HorizontalPodAutoscaler/noesis-api" in made
    scaled = made["ScaledObject/noesis-worker"]["spec"]
    assert scaled["scaleTargetRef"]["name"] == "noesis-worker"
    assert f"Deployment/{scaled['scaleTargetRef']['name']}" in made
    assert scaled["minReplicaCount"] >= 1
    (trigger,) = scaled["triggers"]
    assert trigger["type"] == "rabbitmq"
    assert set(trigger["metadata"]) >= {"mode", "value", "queueName", "protocol"}
    assert all(isinstance(value, str) for value in trigger["metadata"].values()), "KEDA takes texts only"
    assert re.match(trigger["metadata"]["queueName"], lanes.GENERAL)
    assert f"TriggerAuthentication/{trigger['authenticationRef']['name']}" in made


def closed(schema: Any) -> Any:
    """A schema that takes no property it does not name, as the server does with strict validation."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    form = {key: closed(value) for key, value in schema.items()}
    if isinstance(form.get("properties"), dict) and isinstance(form.get("type"), str) and form["type"] == "object":
        form.setdefault("additionalProperties", False)
    return form


def test_kedas_resources_are_valid_by_its_own_schemas() -> None:
    schemas = kustomize.keda_schemas()
    ours = [form for form in WRITTEN.values() if form["apiVersion"].startswith("keda.sh")]
    assert {form["kind"] for form in ours} == {"ScaledObject", "TriggerAuthentication"}
    for form in ours:
        schema = closed(schemas[form["kind"]])
        schema["properties"]["metadata"] = {"type": "object"}
        check = Draft202012Validator(schema)
        assert [f"{list(e.path)}: {e.message}" for e in check.iter_errors(form)] == []
        assert list(check.iter_errors({**form, "spec": {**form["spec"], "minReplicas": 1}})), (
            "it refuses what it does not know"
        )


@pytest.mark.parametrize("key", PODS)
def test_each_pod_runs_without_rights(key: str) -> None:
    spec = pod(PODS[key])
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    (container,) = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert {"cpu", "memory"} <= set(container["resources"]["requests"])
    assert "memory" in container["resources"]["limits"]
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    assert mounts == {volume["name"] for volume in spec["volumes"]}


@pytest.mark.parametrize("key", [key for key in PODS if "Deployment" in key])
def test_each_process_that_runs_long_has_probes_where_it_answers(key: str) -> None:
    (container,) = pod(PODS[key])["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    for probe, path in (("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
        asked = container[probe]["httpGet"]
        assert (asked["path"], ports[asked["port"]]) == (path, int(settings()[f"{PREFIX}METRICS_PORT"]))


def settings() -> dict[str, str]:
    return dict(line.split("=", 1) for line in (FOLDER / "platform/settings.env").read_text().splitlines() if line)


def test_settings_are_known_and_no_secret_stands_among_them() -> None:
    told = {
        *settings(),
        *(item["name"] for form in PODS.values() for item in pod(form)["containers"][0].get("env", [])),
    }
    for variable in told:
        known = variable.removeprefix(PREFIX).lower()
        assert known in Settings.model_fields, variable
        assert not is_secret(known), variable
    assert all(pod(form)["enableServiceLinks"] is False for form in PODS.values()), "they would look like settings"
    mounts = {
        m["name"]: m["mountPath"] for m in pod(PODS["platform/Deployment/noesis-api"])["containers"][0]["volumeMounts"]
    }
    assert mounts["secrets"] == settings()[f"{PREFIX}SECRETS_DIR"]
    said = re.findall(r"--from-literal=noesis_(\w+)=", (FOLDER / "README.md").read_text())
    assert said
    assert all(is_secret(secret) for secret in said)


@pytest.mark.parametrize("key", PODS)
def test_each_command_is_one_of_ours(key: str) -> None:
    command: Any = get_command(app)
    for word in pod(PODS[key])["containers"][0]["args"]:
        if word.startswith("--"):
            assert word in {option for p in command.params for option in (*p.opts, *p.secondary_opts)}
        else:
            command = command.get_command(None, word)
            assert command is not None, word


def test_scalers_and_budgets_name_what_is_there() -> None:
    deployments = {form["metadata"]["name"] for form in WRITTEN.values() if form["kind"] == "Deployment"}
    for form in WRITTEN.values():
        if form["kind"] == "HorizontalPodAutoscaler":
            assert form["spec"]["scaleTargetRef"]["name"] in deployments
            assert "replicas" not in WRITTEN[f"platform/Deployment/{form['spec']['scaleTargetRef']['name']}"]["spec"]
        if form["kind"] == "PodDisruptionBudget":
            assert form["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] in deployments
