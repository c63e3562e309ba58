"""The Prometheus servers of a stack: who answers, and getting new files to their pods at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import aiohttp

from firewatch.api.external import ExternalPrometheus
from firewatch.api.resource import Object
from firewatch.build import names
from firewatch.build.external import marker_owner
from firewatch.build.objects import Stack
from firewatch.build.web import server_name, web_tls
from firewatch.cluster.client import Cluster, Verb, Write
from firewatch.cluster.errors import ConflictError, NotFoundError
from firewatch.cluster.external import external_prometheus
from firewatch.cluster.kinds import POD
from firewatch.cluster.prometheus import Prometheus, PrometheusError
from firewatch.cluster.trust import Trust, gather_trust

_NUDGES = tuple(timedelta(seconds=seconds) for seconds in (0, 1, 2, 4))
"""When a pod is nudged, counted from the first time: kubelet's own view may lag behind."""
_PATIENCE = timedelta(seconds=8)
_FORGOTTEN = timedelta(hours=1)
"""Pods that have not been brought up to date by then are gone."""


class InPod(Protocol):
    """A server that may run in a pod of a stack."""

    @property
    def pod(self) -> Object | None:
        """Return the pod; None if the server is another's, whose files come as they come."""

    @property
    def uid(self) -> str:
        """Return the pod's uid, or what else tells the server from others."""


@dataclass(frozen=True)
class Server:
    """A Prometheus that answers: in a ready pod of the stack, or one that others run."""

    pod: Object | None
    api: Prometheus
    marker_owner: str = ""
    """Tells the stack's marker files from those of others that have the same server."""

    @property
    def uid(self) -> str:
        """Return the pod's uid, or the address where there is no pod of ours."""
        return self.api.url if self.pod is None else str(self.pod["metadata"]["uid"])

    @property
    def name(self) -> str:
        """Return the pod's name, or the address."""
        return self.api.url if self.pod is None else str(self.pod["metadata"]["name"])


@dataclass(frozen=True)
class Servers:
    """The Prometheus servers of a stack."""

    pods: Sequence[Object] = ()
    ready: Sequence[Server] = ()
    problem: str = ""
    """Why the one that others run does not answer."""

    @property
    def first(self) -> Server:
        """Return always the same of the ready ones, whose answers so follow each other."""
        return min(self.ready, key=lambda server: server.name)

    @property
    def crashing(self) -> bool:
        """Tell whether a pod that is not ready has died before: perhaps of its rules."""
        ready = {server.uid for server in self.ready}
        return any(pod["metadata"]["uid"] not in ready and restarts(pod) for pod in self.pods)


def restarts(pod: Object) -> int:
    """Return how often the pod's containers have been started again."""
    return sum(
        container.get("restartCount", 0)
        for container in pod.get("status", {}).get("containerStatuses") or ()
    )


async def gather_servers(cluster: Cluster, session: aiohttp.ClientSession, stack: Stack) -> Servers:
    """Return the servers that a stack uses: those in its pods, or the one that others run."""
    if external := stack.spec.external.prometheus:
        return await _gather_external(cluster, session, stack, external)
    labels = names.selector(stack.name, names.PROMETHEUS)
    pods = [
        pod
        for pod in await cluster.list(POD, stack.namespace, labels)
        if "deletionTimestamp" not in pod["metadata"]
    ]
    trust = await _gather_trust(cluster, stack)
    ready = [Server(pod, _api(session, pod, trust)) for pod in pods if is_ready(pod)]
    return Servers(pods, ready)


async def _gather_external(
    cluster: Cluster, session: aiohttp.ClientSession, stack: Stack, server: ExternalPrometheus
) -> Servers:
    try:
        api = await external_prometheus(
            cluster, session, stack.namespace, server, field="spec.external.prometheus"
        )
        await api.version()
    except PrometheusError as error:
        return Servers(problem=str(error) or type(error).__name__)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        # Whoever answers at an address that people name need not be a Prometheus.
        return Servers(problem=f"its answer is not that of a Prometheus ({type(error).__name__})")
    return Servers(ready=[Server(None, api, marker_owner(stack))])


async def _gather_trust(cluster: Cluster, stack: Stack) -> Trust | None:
    tls = web_tls(stack.spec.metrics)
    if tls is None:
        return None
    name = server_name(tls, stack.name, stack.namespace)
    return await gather_trust(cluster, stack.namespace, tls, name)


def _api(session: aiohttp.ClientSession, pod: Object, trust: Trust | None) -> Prometheus:
    """Return the server in a pod, which while pods are renewed may serve as the stack did before."""
    if _has_https(pod):
        return Prometheus(session, pod_url(pod, names.PROMETHEUS_PORT, https=True), trust)
    return Prometheus(session, pod_url(pod, names.PROMETHEUS_PORT))


def _has_https(pod: Object) -> bool:
    return any(
        argument.startswith(names.WEB_CONFIG_FLAG)
        for container in pod.get("spec", {}).get("containers") or ()
        for argument in container.get("args") or ()
    )


async def running_version(servers: Servers) -> str:
    """Return the oldest version that a ready server says it has; empty if none says anything."""
    found = []
    for server in servers.ready:
        try:
            found.append(await server.api.version())
        except PrometheusError:
            continue
    return min(found, default="")


async def gather_ready_pods(
    cluster: Cluster, *, namespace: str, stack: str, application: str
) -> list[Object]:
    """Read the pods of an application of a stack that take requests and are there to stay."""
    pods = await cluster.list(POD, namespace, names.selector(stack, application))
    return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"] and is_ready(pod)]


def is_ready(pod: Object) -> bool:
    """Tell whether a pod takes requests."""
    status = pod.get("status", {})
    return bool(status.get("podIP")) and any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for condition in status.get("conditions") or ()
    )


def pod_url(pod: Object, port: int, *, https: bool = False) -> str:
    """Return the address of a port of a pod."""
    address = pod["status"]["podIP"]
    host = f"[{address}]" if ":" in address else address
    return f"{'https' if https else 'http'}://{host}:{port}"


@dataclass
class _Nudge:
    revision: str
    first: datetime
    sent: int = 0


@dataclass
class Nudges:
    """Bumps of annotations on pods, which make kubelet sync a pod's files within a second.

    Without them a changed ConfigMap takes up to a minute.
    """

    _sent: dict[tuple[str, str], _Nudge] = field(default_factory=dict)

    async def nudge(
        self,
        cluster: Cluster,
        servers: Iterable[InPod],
        *,
        annotation: str,
        revision: str,
        now: datetime,
    ) -> None:
        """Bump the annotation of the pods that are behind, if it is time to."""
        for server in servers:
            if server.pod is None:
                continue
            state = self._state(server, annotation, revision, now)
            if state.sent < len(_NUDGES) and now - state.first >= _NUDGES[state.sent]:
                suffix = f".{state.sent}" if state.sent else ""
                state.sent += 1
                await _bump(cluster, server.pod, annotation, revision + suffix)

    def is_nudged(self, server: InPod, annotation: str) -> bool:
        """Tell whether the pod is being brought up to date."""
        return (server.uid, annotation) in self._sent

    def patience_over(self, server: InPod, annotation: str, now: datetime) -> bool:
        """Tell whether the pod has been nudged so often that its files must be there by now."""
        state = self._sent.get((server.uid, annotation))
        return state is not None and now - state.first >= _PATIENCE

    def settle(self, servers: Iterable[InPod], annotation: str) -> None:
        """Forget about pods that are up to date."""
        for server in servers:
            self._sent.pop((server.uid, annotation), None)

    def _state(self, server: InPod, annotation: str, revision: str, now: datetime) -> _Nudge:
        key = (server.uid, annotation)
        state = self._sent.get(key)
        if state is None or state.revision != revision:
            self._sent = {k: old for k, old in self._sent.items() if now - old.first < _FORGOTTEN}
            state = self._sent[key] = _Nudge(revision, now)
        return state


async def _bump(cluster: Cluster, pod: Object, annotation: str, value: str) -> None:
    """Set an annotation on this very pod; it is fine if the pod is gone."""
    metadata = pod["metadata"]
    if metadata.get("annotations", {}).get(annotation) == value:
        return
    body = {"metadata": {"uid": metadata["uid"], "annotations": {annotation: value}}}
    try:
        await cluster.write(Write(Verb.MERGE, POD, metadata["namespace"], metadata["name"], body))
    except (NotFoundError, ConflictError):
        return
