"""The Kubernetes manifests, by upstream's schemas, and by the admission that they must pass."""

import copy
import json
import lzma
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from infra_files import (
    IMAGE,
    INFRA,
    KUBERAY,
    cluster_spec,
    kubernetes_objects,
    load,
    lock,
    pod_templates,
    uncommented_gpu_group,
)
from jsonschema import Draft202012Validator
from packaging.version import Version
from pod_security import forbidden

OBJECTS = kubernetes_objects()
NAMES = [f"{one['kind']} {one['metadata'].get('name', '')}".strip() for one in OBJECTS]
RAY = [one for one in OBJECTS if one["apiVersion"] == "ray.io/v1"]
TEMPLATES = {name: template for one in OBJECTS for name, template in pod_templates(one).items()}
# Some releases back, and the newest that is known.
VERSIONS = ("1.31", kubernetes_validate.latest_version())
TAGS = {"", "-cuda", "-job"}


def closed(schema: Any) -> Any:
    """A schema that knows no fields but those it names, as `kubectl` takes it."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: closed(value) for name, value in schema.items()}
    named = isinstance(schema.get("properties"), dict) and "type" in schema
    if named and not schema.get("x-kubernetes-preserve-unknown-fields"):
        kept.setdefault("additionalProperties", False)
    return kept


@pytest.fixture(scope="module")
def kuberay() -> dict[str, Draft202012Validator]:
    path = Path(__file__).parent / "schemas/kuberay.json.xz"
    known = json.loads(lzma.decompress(path.read_bytes()))
    return {kind: Draft202012Validator(closed(known[kind])) for kind in ("RayCluster", "RayJob")}


def complaints(validator: Draft202012Validator, document: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]


@pytest.mark.parametrize("document", RAY, ids=lambda one: one["kind"])
def test_rays_manifests_are_as_the_operator_takes_them(
    document: Any, kuberay: dict[str, Draft202012Validator]
) -> None:
    validator = kuberay[document["kind"]]
    assert complaints(validator, document) == []
    # Nothing that is misspelt, or of another type, gets through.
    misspelt, mistyped = copy.deepcopy(document), copy.deepcopy(document)
    cluster_spec(misspelt)["headGroupSpec"]["template"]["spec"]["securityContex"] = {}
    cluster_spec(mistyped)["workerGroupSpecs"][0]["maxReplicas"] = "many"
    assert len(complaints(validator, misspelt)) == 1
    assert len(complaints(validator, mistyped)) == 1


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "document", [one for one in OBJECTS if one not in RAY], ids=[n for n in NAMES if "Ray" not in n]
)
def test_manifests_are_as_kubernetes_takes_them(document: Any, version: str) -> None:
    kubernetes_validate.validate(document, version, strict=True)
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**document, "specs": {}}, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", TEMPLATES)
def test_pods_are_as_kubernetes_takes_them(name: str, version: str) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", **TEMPLATES[name]}
    kubernetes_validate.validate(pod, version, strict=True)


@pytest.mark.parametrize("name", TEMPLATES)
def test_pods_pass_restricted_admission(name: str) -> None:
    assert forbidden(TEMPLATES[name]["spec"]) == []


GOOD = TEMPLATES["Deployment prefect-server"]["spec"]
CONTAINER = GOOD["containers"][0]
OWN = CONTAINER["securityContext"]


def pod_with(container: dict[str, Any] | None = None, **own: Any) -> dict[str, Any]:
    context = {name: value for name, value in {**OWN, **own}.items() if value is not None}
    return {**GOOD, "containers": [{**CONTAINER, "securityContext": context, **(container or {})}]}


@pytest.mark.parametrize(
    "pod",
    [
        {**GOOD, "hostNetwork": True},
        {**GOOD, "hostPID": True},
        {**GOOD, "volumes": [{"name": "a", "hostPath": {"path": "/"}}]},
        {**GOOD, "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}},
        {**GOOD, "securityContext": {"runAsNonRoot": True}},
        {**GOOD, "securityContext": {**GOOD["securityContext"], "runAsUser": 0}},
        {**GOOD, "initContainers": [{"name": "first", "image": "a"}]},
        pod_with(allowPrivilegeEscalation=None),
        pod_with(privileged=True),
        pod_with(capabilities={"drop": ["NET_RAW"]}),
        pod_with(capabilities={"drop": ["ALL"], "add": ["SYS_PTRACE"]}),
        pod_with(runAsNonRoot=False),
        pod_with(runAsUser=0),
        pod_with(seccompProfile={"type": "Unconfined"}),
        pod_with(procMount="Unmasked"),
        pod_with({"ports": [{"containerPort": 1, "hostPort": 1}]}),
    ],
)
def test_what_restricted_admission_forbids_is_seen(pod: dict[str, Any]) -> None:
    assert forbidden(GOOD) == []
    assert forbidden(pod)


@pytest.mark.parametrize("name", TEMPLATES)
def test_pods_get_no_token_and_cannot_write_their_image(name: str) -> None:
    spec = TEMPLATES[name]["spec"]
    accounts = [one for one in OBJECTS if one["kind"] == "ServiceAccount"]
    assert all(one["automountServiceAccountToken"] is False for one in accounts)
    assert spec["serviceAccountName"] in {one["metadata"]["name"] for one in accounts}
    assert spec["automountServiceAccountToken"] is False
    volumes = {one["name"]: one for one in spec["volumes"]}
    for container in spec["containers"]:
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        mounts = container["volumeMounts"]
        claimed = {"data"} if name.startswith("StatefulSet") else set()
        assert {one["name"] for one in mounts} <= set(volumes) | claimed
        assert "/tmp" in {one["mountPath"] for one in mounts}
        tokens = {one["name"] for one in mounts if "projected" in volumes.get(one["name"], {})}
        assert tokens == ({"kubernetes"} if container["name"] == "autoscaler" else set())


@pytest.mark.parametrize("name", TEMPLATES)
def test_containers_say_what_they_take_of_a_node_its_disk_too(name: str) -> None:
    for container in TEMPLATES[name]["spec"]["containers"]:
        resources = container["resources"]
        for kind in ("requests", "limits"):
            assert {"cpu", "memory", "ephemeral-storage"} <= set(resources[kind])
        # What takes more memory than it asked for is the first that a full node ends.
        assert resources["limits"]["memory"] == resources["requests"]["memory"]


def selected(policy: Any, labels: dict[str, str]) -> bool:
    wanted = policy["spec"]["podSelector"].get("matchLabels", {})
    return wanted.items() <= labels.items()


def test_nothing_reaches_a_pod_that_no_policy_names() -> None:
    policies = [one for one in OBJECTS if one["kind"] == "NetworkPolicy"]
    (none,) = [one for one in policies if one["metadata"]["name"] == "nothing"]
    assert none["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name, template in TEMPLATES.items():
        labels = template["metadata"]["labels"]
        naming = [one for one in policies if selected(one, labels) and "ingress" in one["spec"]]
        assert len(naming) == 1, name
    for one in policies:
        for rule in one["spec"].get("ingress", []):
            assert all(rule["from"])
            assert all("ipBlock" not in source for source in rule["from"])


def test_policies_and_services_select_pods_that_there_are() -> None:
    labels = [template["metadata"]["labels"] for template in TEMPLATES.values()]
    for one in OBJECTS:
        if one["kind"] == "Service":
            wanted = one["spec"]["selector"]
        elif one["kind"] == "NetworkPolicy":
            wanted = one["spec"]["podSelector"].get("matchLabels", {})
        else:
            continue
        assert any(wanted.items() <= these.items() for these in labels), one["metadata"]["name"]


def test_the_namespace_enforces_restricted_and_holds_all() -> None:
    (namespace,) = [one for one in OBJECTS if one["kind"] == "Namespace"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    name = namespace["metadata"]["name"]
    assert {one["metadata"]["namespace"] for one in OBJECTS if one is not namespace} == {name}


def test_images_are_of_this_version_or_pinned_by_digest() -> None:
    for template in TEMPLATES.values():
        for container in template["spec"]["containers"]:
            ours, _, tag = container["image"].partition(IMAGE)
            assert (not ours and tag in TAGS) or "@sha256:" in container["image"]


@pytest.mark.parametrize("name", KUBERAY)
def test_kuberay_runs_the_locked_ray(name: str) -> None:
    assert Version(cluster_spec(load(name))["rayVersion"]) == lock()["ray"]


@pytest.mark.parametrize("document", RAY, ids=lambda one: one["kind"])
def test_ray_is_authenticated(document: Any) -> None:
    assert cluster_spec(document)["authOptions"]["mode"] == "token"
    if document["kind"] == "RayJob":
        return  # the operator makes the token, and gives it to all that it starts
    secret = cluster_spec(document)["authOptions"]["secretName"]
    for template in pod_templates(document).values():
        for container in template["spec"]["containers"]:
            environment = {entry["name"]: entry for entry in container["env"]}
            assert environment["RAY_AUTH_MODE"]["value"] == "token"
            token = environment["RAY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"]
            assert token == {"name": secret, "key": "auth_token"}


@pytest.mark.parametrize("document", RAY, ids=lambda one: one["kind"])
def test_rays_probes_ask_ports_that_are_fixed(document: Any) -> None:
    spec = cluster_spec(document)
    head = spec["headGroupSpec"]["template"]["spec"]["containers"][0]
    assert head["readinessProbe"]["tcpSocket"]["port"] == 6379
    assert {group["groupName"] for group in spec["workerGroupSpecs"]} == {"cpu", "gpu"}
    for group in spec["workerGroupSpecs"]:
        (container,) = group["template"]["spec"]["containers"]
        port = int(group["rayStartParams"]["node-manager-port"])
        assert container["readinessProbe"]["tcpSocket"]["port"] == port
        assert container["livenessProbe"]["tcpSocket"]["port"] == port


@pytest.mark.parametrize("document", RAY, ids=lambda one: one["kind"])
def test_workers_may_be_on_spot_nodes_and_the_head_may_not(document: Any) -> None:
    spec = cluster_spec(document)
    assert "tolerations" not in spec["headGroupSpec"]["template"]["spec"]
    for group in spec["workerGroupSpecs"]:
        keys = {one["key"] for one in group["template"]["spec"]["tolerations"]}
        assert {"cloud.google.com/gke-spot", "kubernetes.azure.com/scalesetpriority"} <= keys
        assert ("nvidia.com/gpu" in keys) == (group["groupName"] == "gpu")


def test_the_job_begins_with_no_worker_and_leaves_nothing_running() -> None:
    job = load("kuberay/rayjob.yaml")["spec"]
    assert job["rayClusterSpec"]["enableInTreeAutoscaling"] is True
    for group in job["rayClusterSpec"]["workerGroupSpecs"]:
        assert group["replicas"] == group["minReplicas"] == 0 < group["maxReplicas"]
    assert job["shutdownAfterJobFinishes"] is True
    words = job["entrypoint"].split()
    own = float(words[words.index("--run-deadline") + 1])
    assert own < job["activeDeadlineSeconds"]
    # The operator asks the dashboard of the head for the job.
    head = job["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    assert head["image"] == job["submitterPodTemplate"]["spec"]["containers"][0]["image"]
    assert head["image"] == f"{IMAGE}-job"
    assert f"{IMAGE}-job --build-arg EXTRAS=cpu,dashboard" in (INFRA / "Containerfile").read_text()


def test_the_entrypoint_of_the_job_is_a_command_of_ours() -> None:
    from fusion_core.settings import FuseArchiveSettings

    program, command, *words = load("kuberay/rayjob.yaml")["spec"]["entrypoint"].split()
    assert (program, command) == ("fuse-archive", "run")
    options = [word.removeprefix("--").replace("-", "_") for word in words[::2]]
    FuseArchiveSettings(**dict(zip(options, words[1::2], strict=True)))
    assert {"source", "output", "ray_address"} <= set(options)


def test_the_gpu_group_in_comments_is_the_same_as_the_cpu_group_but_for_its_size() -> None:
    cpu, gpu = uncommented_gpu_group()["spec"]["workerGroupSpecs"]
    assert cpu["template"]["metadata"] == gpu["template"]["metadata"]
    (one,), (two,) = (group["template"]["spec"]["containers"] for group in (cpu, gpu))
    assert set(one) == set(two)
    assert two["image"] == f"{IMAGE}-cuda"
