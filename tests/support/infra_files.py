"""What infra holds, read as those read it who use it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import yaml
from packaging.utils import canonicalize_name
from packaging.version import Version

import fusion_core

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
IMAGE = f"fuse-archive:{fusion_core.__version__}"
KUBERNETES = ("kubernetes/namespace.yaml", "kubernetes/prefect.yaml")
KUBERAY = ("kuberay/raycluster.yaml", "kuberay/rayjob.yaml")


def load(name: str) -> Any:
    """The one document of a YAML file."""
    return yaml.safe_load((INFRA / name).read_text())


def lock(name: str = "requirements.lock") -> dict[str, Version]:
    """Versions of a lock, by the package's canonical name."""
    lines = (INFRA / name).read_text().split()
    assert all(line.count("==") == 1 for line in lines)
    pins = [line.split("==") for line in lines]
    return {canonicalize_name(name): Version(version) for name, version in pins}


def uncommented_gpu_group() -> Any:
    """The Ray cluster with the group of GPU workers that its file shows in comments."""
    lines = (INFRA / "kuberay/raycluster.yaml").read_text().splitlines()
    first = next(k for k, line in enumerate(lines) if line.strip() == "# - groupName: gpu")
    lines[first:] = [line.replace("    # ", "    ", 1) for line in lines[first:]]
    return yaml.safe_load("\n".join(lines))


def kubernetes_objects() -> list[Any]:
    """Every object of the Kubernetes manifests; the Ray cluster with its group of GPU workers."""
    plain = [name for name in (*KUBERNETES, *KUBERAY) if name != "kuberay/raycluster.yaml"]
    documents = [one for name in plain for one in yaml.safe_load_all((INFRA / name).read_text())]
    return [*documents, uncommented_gpu_group()]


def cluster_spec(ray: Any) -> Any:
    """The specification of the cluster of a RayCluster or a RayJob."""
    return ray["spec"] if ray["kind"] == "RayCluster" else ray["spec"]["rayClusterSpec"]


def pod_templates(document: Any) -> dict[str, Any]:
    """The pod templates of an object by where they are, with what KubeRay puts into them."""
    kind, spec = document["kind"], document.get("spec", {})
    if kind in ("Deployment", "StatefulSet"):
        return {f"{kind} {document['metadata']['name']}": spec["template"]}
    if kind not in ("RayCluster", "RayJob"):
        return {}
    cluster = cluster_spec(document)
    head = cluster["headGroupSpec"]["template"]
    templates = {f"{kind} head": head}
    if options := cluster.get("autoscalerOptions"):
        # The operator adds this container, and gives it of the options what it is given here.
        given = ("securityContext", "resources", "env", "volumeMounts")
        added = {name: options[name] for name in given if name in options}
        image = head["spec"]["containers"][0]["image"]
        containers = [*head["spec"]["containers"], {"name": "autoscaler", "image": image, **added}]
        templates[f"{kind} head"] = {**head, "spec": {**head["spec"], "containers": containers}}
    for group in cluster["workerGroupSpecs"]:
        templates[f"{kind} {group['groupName']}"] = group["template"]
    if "submitterPodTemplate" in spec:
        templates[f"{kind} submitter"] = spec["submitterPodTemplate"]
    return templates
