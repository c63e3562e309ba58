"""The workloads of a stack as rows of its status (pure)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from firewatch.api.conditions import Finding, bad, good
from firewatch.api.resource import ConditionStatus, Object
from firewatch.api.stack import ComponentStatus
from firewatch.build.names import NAME_LABEL
from firewatch.reconcile.findings import AVAILABLE

_PULL_ERRORS = frozenset(("ErrImagePull", "ImagePullBackOff", "InvalidImageName"))
_ATTEMPT = re.compile(
    r"^(\(combined from similar events\): )?(Error creating: )?"
    r"(create (Pod|Claim) .*? failed error: )?"
    r"((pods|persistentvolumeclaims) \"[^\"]*\" is forbidden: )?"
)
_USED = re.compile(r", used: .*?(?=, limited: )")
"""What a quota has given out changes with every pod of the namespace."""
_NO_PORT = "didn't have free ports"
_PORT_IN_USE = "address already in use"
_STARTING = frozenset(("ContainerCreating", "PodInitializing"))


_EXTERNAL = "external"
"""What stands in place of numbers of pods for a server that others run."""


@dataclass(frozen=True)
class Workload:
    """How many pods a workload should have, has, and has ready in their present form."""

    wanted: int
    there: int
    ready: int
    settled: bool
    """Whether the controller has seen the present spec and brought every pod up to it."""

    @property
    def available(self) -> bool:
        """Tell whether every pod that should run is ready and up to date."""
        return self.settled and self.ready >= self.wanted


def replicated(live: Object) -> Workload:
    """Read the status of a StatefulSet or a Deployment."""
    status = live.get("status", {})
    wanted: int = live["spec"].get("replicas", 1)
    return Workload(
        wanted=wanted,
        there=status.get("replicas", 0),
        ready=status.get("readyReplicas", 0),
        settled=_is_observed(live) and status.get("updatedReplicas", 0) >= wanted,
    )


def daemon_set(live: Object) -> Workload:
    """Read the status of a DaemonSet."""
    status = live.get("status", {})
    wanted = status.get("desiredNumberScheduled", 0)
    return Workload(
        wanted=wanted,
        there=status.get("currentNumberScheduled", 0),
        ready=status.get("numberReady", 0),
        settled=_is_observed(live) and status.get("updatedNumberScheduled", 0) >= wanted,
    )


def _is_observed(live: Object) -> bool:
    observed: int = live.get("status", {}).get("observedGeneration", 0)
    return bool(observed >= live["metadata"]["generation"])


def row(
    name: str, workload: Workload, problem: str, *, version: str = "", endpoint: str = ""
) -> ComponentStatus:
    """Return the row of a workload."""
    return ComponentStatus(
        name=name,
        ready=ConditionStatus.TRUE if workload.available else ConditionStatus.FALSE,
        pods=f"{min(workload.ready, workload.wanted)}/{workload.wanted}",
        version=version,
        endpoint=endpoint,
        message="" if workload.available else problem[:1024],
    )


def external_row(name: str, url: str, problem: str, *, version: str = "") -> ComponentStatus:
    """Return the row of a server that others run; ``problem`` is why it does not answer."""
    return ComponentStatus(
        name=name,
        ready=ConditionStatus.FALSE if problem else ConditionStatus.TRUE,
        pods=_EXTERNAL,
        version=version,
        endpoint=url,
        message=problem[:1024],
    )


def image_version(workload: Object) -> str:
    """Return the tag of a workload's image, without the ``v`` that some have in front."""
    image = str(workload["spec"]["template"]["spec"]["containers"][0]["image"])
    name, colon, tag = image.partition("@")[0].rpartition(":")
    if not colon or "/" in tag or not name:
        return ""
    return tag[1:] if tag[:1] == "v" and tag[1:2].isdecimal() else tag


def endpoints(objects: Sequence[Object]) -> dict[str, str]:
    """Return the addresses of the applications that have a Service with one."""
    found = {}
    for item in objects:
        if item["kind"] == "Service" and item["spec"].get("clusterIP") != "None":
            metadata, port = item["metadata"], item["spec"]["ports"][0]
            scheme = "https" if port["name"] == "https" else "http"
            host = f"{metadata['name']}.{metadata['namespace']}.svc"
            found[metadata["labels"][NAME_LABEL]] = f"{scheme}://{host}:{port['port']}"
    return found


def available(rows: Sequence[ComponentStatus]) -> Finding:
    """Return whether every workload has all its pods."""
    behind = [row for row in rows if row.ready is not ConditionStatus.TRUE]
    if not behind:
        return good(AVAILABLE, "Available", "every pod is ready")
    first = behind[0]
    if first.pods == _EXTERNAL:
        return bad(AVAILABLE, "ServerNotAvailable", f"{first.name}: {first.message}")
    reason = "PodsRefused" if "refused" in first.message else "PodsNotReady"
    return bad(AVAILABLE, reason, f"{first.name}: {first.message}")


def explain_refusal(events: Sequence[Object]) -> str:
    """Return why the pods of a workload are not created, given its Events; empty if unknown.

    Each attempt has an Event of its own that names a pod which never was; without that name the
    text stays the same.
    """
    refusals = [event for event in events if event.get("reason") == "FailedCreate"]
    if not refusals:
        return ""
    latest = max(refusals, key=lambda event: event.get("lastTimestamp") or "")
    text = _USED.sub("", _ATTEMPT.sub("", latest.get("message", "")))
    if text.startswith("exceeded quota"):
        return f"the pods are refused: {text}; raise the quota, or let the stack ask for less"
    if not text.startswith("violates PodSecurity"):
        return f"the pods are refused: {text}"
    return (
        f"the pods are refused: {text}; let the namespace allow them (kubectl label namespace NAME"
        " pod-security.kubernetes.io/enforce=privileged --overwrite), or remove this component from"
        " the stack"
    )


def pending_claims(pods: Sequence[Object], claims: Sequence[Object]) -> list[Object]:
    """Return the claims without a volume for which pods wait."""
    waiting = {
        volume["persistentVolumeClaim"]["claimName"]
        for pod in pods
        for volume in pod["spec"].get("volumes", ())
        if "persistentVolumeClaim" in volume
    }
    return [
        claim
        for claim in claims
        if claim["metadata"]["name"] in waiting
        and claim.get("status", {}).get("phase") == "Pending"
    ]


def explain_claim(claim: Object, events: Sequence[Object]) -> str:
    """Return why a claim gets no volume, given its Events; empty if unknown."""
    failures = [event for event in events if event.get("reason") == "ProvisioningFailed"]
    if not failures:
        return ""
    latest = max(failures, key=lambda event: event.get("lastTimestamp") or "")
    words = latest.get("message", "")
    wanted = claim["spec"].get("storageClassName", "")
    remedy = (
        f"; create StorageClass {wanted} or correct storageClassName"
        if "not found" in words
        else ""
    )
    return f"claim {claim['metadata']['name']} gets no volume: {words}{remedy}"


def explain_pods(pods: Sequence[Object]) -> str:
    """Return what keeps pods from being ready, in words that do not change by themselves."""
    problems = filter(None, map(_pod_problem, sorted(pods, key=_name)))
    return next(problems, "waiting for the pods to be ready")


def _name(pod: Object) -> str:
    return str(pod["metadata"]["name"])


def _pod_problem(pod: Object) -> str:
    status = pod.get("status", {})
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            message = condition.get("message", "")
            if _NO_PORT in message:
                return _port_taken(pod)
            return f"pod {_name(pod)} cannot be scheduled: {message}"
    if status.get("reason") == "NodePorts":
        return _port_taken(pod)
    containers = status.get("containerStatuses") or ()
    return next(filter(None, (_container_problem(pod, each) for each in containers)), "")


def _port_taken(pod: Object) -> str:
    """Return that a port of the node is taken; only the node exporter asks for one."""
    ports = [
        str(port["hostPort"])
        for container in pod.get("spec", {}).get("containers") or ()
        for port in container.get("ports") or ()
        if "hostPort" in port
    ]
    node = _node(pod)
    return (
        f"port {', '.join(ports) or 'of the node'} is taken on node {node} by another program; set"
        " exporters.node.port to a port that is free on every node, or remove the other program"
    )


def _node(pod: Object) -> str:
    """Return the node that a pod is on or, of a DaemonSet's pod that waits, is meant for."""
    spec = pod.get("spec", {})
    if spec.get("nodeName"):
        return str(spec["nodeName"])
    affinity = spec.get("affinity", {}).get("nodeAffinity", {})
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {})
    for term in required.get("nodeSelectorTerms") or ():
        for field in term.get("matchFields") or ():
            if field.get("key") == "metadata.name":
                return str(field["values"][0])
    return "unknown"


def _container_problem(whole: Object, container: Object) -> str:
    if container.get("ready"):
        return ""
    if _PORT_IN_USE in _last_words(container):
        return _port_taken(whole)
    pod = _name(whole)
    if waits := _waiting_problem(pod, container):
        return waits
    if container.get("restartCount"):
        return f"pod {pod} ends again and again; see kubectl logs {pod} --previous"
    reason = container.get("state", {}).get("waiting", {}).get("reason", "")
    return f"pod {pod}: {reason}" if reason and reason not in _STARTING else ""


def _waiting_problem(pod: str, container: Object) -> str:
    """Return what a container waits for, if a user can help it."""
    waiting = container.get("state", {}).get("waiting", {})
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if reason in _PULL_ERRORS:
        return f"pod {pod}: the image {container.get('image')} cannot be pulled"
    if reason == "CreateContainerConfigError":
        # The words are kubelet's; they name the Secret or ConfigMap, and the key.
        return f"pod {pod} waits: {message}; create it in this namespace"
    if "not a shared or slave mount" in message:
        return f"pod {pod}: the root of its node is not a shared mount; run mount --make-shared / there"
    return ""


def _last_words(container: Object) -> str:
    """Return what a container that ended said last; never shown, since it may be anything."""
    states = (container.get("state", {}), container.get("lastState", {}))
    return " ".join(state.get("terminated", {}).get("message", "") for state in states)
