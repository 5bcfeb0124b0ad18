"""The Pod Security Standard "restricted" of Kubernetes, rule by rule, for one pod."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim"),
    *("projected", "secret"),
}
_PROFILES = ("RuntimeDefault", "Localhost")
_SYSCTLS = {
    *("kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies"),
    *("net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start"),
    *("net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time"),
    *("net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes"),
}


def forbidden(pod: dict[str, Any]) -> list[str]:
    """What of a pod's specification an admission by "restricted" would refuse."""
    return [*_of_the_pod(pod), *_of_the_containers(pod)]


def _of_the_pod(pod: dict[str, Any]) -> Iterator[str]:
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(name):
            yield name
    for volume in pod.get("volumes", []):
        if others := set(volume) - {"name"} - _VOLUMES:
            yield f"volume {volume['name']}: {', '.join(others)}"
    context = pod.get("securityContext", {})
    for one in context.get("sysctls", []):
        if one["name"] not in _SYSCTLS:
            yield f"sysctl {one['name']}"
    yield from _of_a_context("pod", context)


def _of_the_containers(pod: dict[str, Any]) -> Iterator[str]:
    above = pod.get("securityContext", {})
    kinds = ("containers", "initContainers", "ephemeralContainers")
    for container in (one for kind in kinds for one in pod.get(kind, [])):
        name, own = container["name"], container.get("securityContext", {})
        yield from _of_a_context(name, own)
        if own.get("privileged"):
            yield f"{name}: privileged"
        if own.get("allowPrivilegeEscalation") is not False:
            yield f"{name}: allowPrivilegeEscalation"
        capabilities = own.get("capabilities", {})
        if "ALL" not in capabilities.get("drop", []):
            yield f"{name}: capabilities are not dropped"
        if set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
            yield f"{name}: capabilities are added"
        if own.get("procMount", "Default") != "Default":
            yield f"{name}: procMount"
        if any(port.get("hostPort") for port in container.get("ports", [])):
            yield f"{name}: hostPort"
        if own.get("runAsNonRoot", above.get("runAsNonRoot")) is not True:
            yield f"{name}: runAsNonRoot"
        profile = own.get("seccompProfile", above.get("seccompProfile", {}))
        if profile.get("type") not in _PROFILES:
            yield f"{name}: seccompProfile"


def _of_a_context(name: str, context: dict[str, Any]) -> Iterator[str]:
    if context.get("runAsUser") == 0:
        yield f"{name}: runAsUser 0"
    if context.get("appArmorProfile", {}).get("type") == "Unconfined":
        yield f"{name}: appArmorProfile"
    linux = context.get("seLinuxOptions", {})
    if linux.get("user") or linux.get("role"):
        yield f"{name}: seLinuxOptions"
    if context.get("seccompProfile", {}).get("type") == "Unconfined":
        yield f"{name}: seccompProfile"
