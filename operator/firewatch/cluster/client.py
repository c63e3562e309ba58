"""The client: reads, and one function through which every write goes.

Built on the dynamic client of ``kubernetes.aio`` with resources from our own table, so that
nothing is discovered and nothing is cached on disk. Objects are plain dicts: typed models of the
client cannot hold partial bodies.
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

import aiohttp
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config
from kubernetes.aio.client.rest import RESTClientObject
from kubernetes.aio.dynamic import DynamicClient, Resource
from kubernetes.aio.dynamic.exceptions import DynamicApiError

from firewatch.api.resource import Object
from firewatch.cluster.errors import UnreachableError, error_of
from firewatch.cluster.kinds import OWN_KINDS, Kind
from firewatch.cluster.sockets import narrow_socket
from firewatch.metrics import Metrics
from firewatch.settings import FIELD_MANAGER

_PAGE = 250
_TIMEOUT_SECONDS = 30
_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


class Verb(StrEnum):
    """How a write changes an object."""

    APPLY = "apply"
    CREATE = "create"
    MERGE = "merge"
    JSON_PATCH = "jsonPatch"
    DELETE = "delete"


_CONTENT_TYPE = {
    Verb.APPLY: "application/apply-patch+yaml",
    Verb.CREATE: "application/json",
    Verb.MERGE: "application/merge-patch+json",
    Verb.JSON_PATCH: "application/json-patch+json",
    Verb.DELETE: "application/json",
}
_METHOD = {Verb.CREATE: "post", Verb.DELETE: "delete"}


@dataclass(frozen=True)
class Write:
    """One change to be sent to the API server."""

    verb: Verb
    kind: Kind
    namespace: str
    name: str
    body: Any
    subresource: str = ""
    force: bool = False
    dry_run: bool = False
    query: Mapping[str, str] = field(default_factory=dict)


Labels = Mapping[str, str | Sequence[str]]
"""Labels that objects must have, each with one value or with one of several."""


def whole(item: Object) -> Object:
    """Return all of an object."""
    return item


class Cluster(Protocol):
    """What the rest of the operator may ask of Kubernetes."""

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """Return one object; ``NotFoundError`` if it is not there."""

    async def list(
        self,
        kind: Kind,
        namespace: str = "",
        labels: Labels | None = None,
        *,
        fields: Mapping[str, str] | None = None,
        metadata_only: bool = False,
        keep: Callable[[Object], Object] = whole,
    ) -> list[Object]:
        """Return the objects of a kind with these labels and fields, in one namespace or in all.

        ``keep`` returns what is to be held of each; it sees a page at a time.
        """

    async def write(self, write: Write) -> Object:
        """Send one change and return the object as the server now has it."""


class KubernetesCluster:
    """Kubernetes behind ``Cluster``, by the official client."""

    def __init__(self, api: kubernetes_client.ApiClient, metrics: Metrics) -> None:
        self._dynamic = DynamicClient(api)
        self._metrics = metrics

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """Return one object; ``NotFoundError`` if it is not there."""
        return _slim(kind, await self._request("get", _path(kind, namespace, name)))

    async def list(
        self,
        kind: Kind,
        namespace: str = "",
        labels: Labels | None = None,
        *,
        fields: Mapping[str, str] | None = None,
        metadata_only: bool = False,
        keep: Callable[[Object], Object] = whole,
    ) -> list[Object]:
        """Return the objects of a kind with these labels and fields, in one namespace or in all.

        ``keep`` returns what is to be held of each; it sees a page at a time.
        """
        items: list[Object] = []
        token: str | None = None
        while True:
            page = await self._request(
                "get",
                _path(kind, namespace),
                label_selector=_selector(labels),
                field_selector=_selector(fields),
                limit=_PAGE,
                _continue=token,
                header_params={"Accept": _METADATA} if metadata_only else {},
            )
            items += [
                keep({"apiVersion": kind.api_version, "kind": kind.kind, **_slim(kind, item)})
                for item in page.get("items") or []
            ]
            token = page["metadata"].get("continue")
            if not token:
                return items

    async def write(self, write: Write) -> Object:
        """Send one change and return the object as the server now has it.

        Every write of the operator passes here: metrics count it here, and the kill campaign stops
        the process in front of and behind this call.
        """
        result = "error"
        try:
            answer = await self._send(write)
            result = "ok"
            return _slim(write.kind, answer)
        finally:
            self._metrics.writes.labels(write.verb, write.kind.kind, result).inc()

    async def _send(self, write: Write) -> Object:
        target = "" if write.verb is Verb.CREATE else write.name
        query = [*write.query.items()]
        if write.verb is not Verb.DELETE:
            query.append(("fieldValidation", "Strict"))
        return await self._request(
            _METHOD.get(write.verb, "patch"),
            _path(write.kind, write.namespace, target, write.subresource),
            body=write.body,
            content_type=_CONTENT_TYPE[write.verb],
            field_manager=None if write.verb is Verb.DELETE else FIELD_MANAGER,
            force_conflicts=("true" if write.force else "false")
            if write.verb is Verb.APPLY
            else None,
            dry_run="All" if write.dry_run else None,
            query_params=query,
        )

    async def _request(self, method: str, path: str, **arguments: Any) -> Object:
        try:
            response = await self._dynamic.request(
                method, path, serialize=False, _request_timeout=_TIMEOUT_SECONDS, **arguments
            )
            answer: Object = await response.json()
        except DynamicApiError as error:
            raise error_of(error.status or 0, *_explain(error)) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UnreachableError(f"the API server does not answer: {error!r}") from error
        return answer


class _Connections(RESTClientObject):
    """The client's connections, small ones."""

    def _create_connector(self) -> aiohttp.TCPConnector:
        """Return what opens connections; the client has this for others to override."""
        return aiohttp.TCPConnector(
            limit=self.maxsize, ssl=self.ssl_context, socket_factory=narrow_socket
        )


def _slim(kind: Kind, answer: Object) -> Object:
    """Return an object without what nobody asks of our own kinds.

    Who wrote which field, and what kubectl last applied, are more than half of such a resource.
    """
    if kind in OWN_KINDS:
        metadata = answer.get("metadata") or {}
        metadata.pop("managedFields", None)
        (metadata.get("annotations") or {}).pop(_LAST_APPLIED, None)
    return answer


def _selector(wanted: Labels | None) -> str | None:
    return ",".join(_requirement(*entry) for entry in sorted((wanted or {}).items())) or None


def _requirement(name: str, value: str | Sequence[str]) -> str:
    return f"{name}={value}" if isinstance(value, str) else f"{name} in ({','.join(value)})"


def _path(kind: Kind, namespace: str, name: str = "", subresource: str = "") -> str:
    resource = Resource(
        prefix="apis" if kind.group else "api",
        group=kind.group,
        api_version=kind.version,
        kind=kind.kind,
        namespaced=kind.namespaced,
        name=kind.plural,
    )
    path: str = resource.path(name=name or None, namespace=namespace or None)
    return f"{path}/{subresource}" if subresource else path


def _explain(error: DynamicApiError) -> tuple[str, str]:
    """Return the message and the reason of the server's Status object."""
    try:
        status = json.loads(error.body or "")
    except (TypeError, ValueError):
        return (str(error.reason), "")
    causes = (status.get("details") or {}).get("causes") or ()
    details = [str(cause.get("message", "")) for cause in causes]
    message = str(status.get("message", error.reason))
    added = [detail for detail in details if detail and detail not in message]
    return (": ".join([message, *added]), str(status.get("reason", "")))


@asynccontextmanager
async def connect(kubeconfig: str, metrics: Metrics) -> AsyncIterator[KubernetesCluster]:
    """Open the client with a kubeconfig file or, if that is empty, the pod's ServiceAccount."""
    configuration = kubernetes_client.Configuration()
    # Otherwise aiohttp looks for a netrc file and proxies in a thread, twice a request.
    configuration.client_session_kwargs = {"trust_env": False}
    try:
        if kubeconfig:
            await kubernetes_config.load_kube_config(
                config_file=kubeconfig, client_configuration=configuration
            )
        else:
            kubernetes_config.load_incluster_config(client_configuration=configuration)
    except kubernetes_config.ConfigException as error:
        raise UnreachableError(f"no cluster is known: {error}") from error
    async with kubernetes_client.ApiClient(configuration) as api:
        api.rest_client = _Connections(configuration)
        # Packing costs both sides more than sending.
        api.set_default_header("Accept-Encoding", "identity")
        yield KubernetesCluster(api, metrics)
