"""Every kopf handler: an event wakes a key, and that is all.

kopf runs in a thread with an event loop of its own, so that its tasks and signal handlers stay out
of ours. Two operators run there, since kopf has one list of namespaces per operator: our own kinds
are watched in the whole cluster, what stacks are made of only where that is granted.
"""

import asyncio
import itertools
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import kopf

from firewatch.api.resource import Key
from firewatch.api.responses import ANNOTATIONS
from firewatch.build.names import COMPONENT_LABEL
from firewatch.build.names import RULES as RULES_COMPONENT
from firewatch.cluster.apply import HASH_ANNOTATION
from firewatch.cluster.event_loop import run
from firewatch.cluster.kinds import (
    ALERT_POLICY,
    AUTO_RESPONSE,
    MONITORING_STACK,
    OWN_KINDS,
    RETENTION_POLICY,
    STACK_CHILDREN,
    Kind,
)
from firewatch.cluster.rewound import VERSION, is_rewound
from firewatch.cluster.sockets import narrow_socket
from firewatch.reconcile.context import RULES
from firewatch.settings import MANAGED_BY, STACK_LABEL, Settings

_log = logging.getLogger(__name__)

_IDENTITY: Any = "firewatch"
"""Our name among kopf's peers, of which there are none; without it kopf asks for the user's name,
which a container need not have. (kopf does not export the type.)
"""

_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"

_CLOSING_SECONDS = 0.25
"""What aborted TLS connections take to be gone; an event loop cannot be closed before (aiohttp,
"Graceful shutdown").
"""

Wake = Callable[[Key], object]
"""Wakes a key; called in kopf's thread."""
WakeAll = Callable[[str, str], object]
"""Wakes all keys of a kind in a namespace; called in kopf's thread."""


Seen = dict[Key, tuple[int, tuple[object, ...] | None]]
"""Version and form of resources as they were last seen."""


def own_kinds(settings: Settings, wake: Wake, wake_all: WakeAll) -> kopf.OperatorRegistry:
    """Return the handlers for our own kinds."""
    seen: Seen = {}

    def rewound() -> None:
        # What the earlier state does not have yet is not told as deleted.
        for key in [*seen]:
            wake(key)

    registry = _registry(settings, rewound)
    for kind in OWN_KINDS:
        _on_event(registry, kind, _own_handler(kind, wake, wake_all, seen))
    return registry


def _own_handler(kind: Kind, wake: Wake, wake_all: WakeAll, seen: Seen) -> Callable[..., Any]:
    async def touched(
        *,
        namespace: str,
        name: str,
        meta: kopf.Meta,
        type: str | None,  # noqa: A002
        **_: Any,
    ) -> None:
        # What only the status or the finalizers have changed in is our own doing: waking for it
        # would have every write followed by reads, in the midst of an answer to an alert.
        labels = hash(frozenset(meta.get("labels", {}).items()))
        said = tuple(meta.get("annotations", {}).get(name) for name in ANNOTATIONS)
        form = (meta["uid"], meta["generation"], "deletionTimestamp" in meta, labels, said)
        version = int(meta["resourceVersion"])
        key = Key(kind.kind, namespace, name)
        last, before = seen.pop(key, (0, None))
        is_gone = type == "DELETED"
        if not is_gone:
            seen[key] = (version, form)
            # One that is older than it was comes with an etcd that has been restored.
            if before == form and version >= last:
                return
        wake(key)
        # Not by the event's type: of several within a moment kopf tells the last.
        is_new = before is None or before[0] != meta["uid"]
        if kind is MONITORING_STACK and (is_new or is_gone):
            # A stack that comes or goes decides which one its neighbours belong to.
            wake_all(ALERT_POLICY.kind, namespace)
            wake_all(AUTO_RESPONSE.kind, namespace)
            wake_all(RETENTION_POLICY.kind, namespace)
        if kind is RETENTION_POLICY:
            # It changes what its stack tells Prometheus, and two of them change each other.
            wake_all(MONITORING_STACK.kind, namespace)
            wake_all(RETENTION_POLICY.kind, namespace)

    return touched


def stack_children(settings: Settings, wake: Wake) -> kopf.OperatorRegistry:
    """Return the handlers for the objects that stacks are made of."""
    # Of these the stacks know what there should be.
    registry = _registry(settings, rewound=lambda: None)
    for kind in STACK_CHILDREN:
        _on_event(registry, kind, _child_handler(wake))
    return registry


def _child_handler(wake: Wake) -> Callable[..., Any]:
    slots: dict[tuple[str, str], str | None] = {}
    """Hashes that the rule ConfigMaps carry."""

    async def touched(
        *,
        namespace: str,
        name: str,
        labels: kopf.Labels,
        annotations: kopf.Annotations,
        type: str | None,  # noqa: A002
        **_: Any,
    ) -> None:
        stack = labels.get(STACK_LABEL)
        if not stack:
            return
        is_slot = labels.get(COMPONENT_LABEL) == RULES_COMPONENT
        known, now = slots.pop((namespace, name), None), annotations.get(HASH_ANNOTATION)
        if is_slot and type != "DELETED":
            slots[namespace, name] = now
            # The pass over rules confirms what it has written by itself, and a thousand policies
            # have it write often. Its writes bring a new hash, what others do leaves it as it is.
            if now and now != known:
                return
        if is_slot or known:
            wake(Key(RULES, namespace, stack))
        if not is_slot:
            wake(Key(MONITORING_STACK.kind, namespace, stack))

    return touched


def _registry(settings: Settings, rewound: Callable[[], None]) -> kopf.OperatorRegistry:
    """Return a registry without handlers; ``rewound`` hears that etcd has been restored."""
    registry = kopf.OperatorRegistry()

    async def login(**arguments: Any) -> kopf.AiohttpSession | None:
        if settings.kubeconfig:
            found = kopf.login_with_kubeconfig(**arguments)
        else:
            found = kopf.login_with_service_account(**arguments)
        return _session(found, rewound) if found else None

    kopf.on.login(registry=registry, id="login")(login)
    return registry


def _session(login: kopf.ConnectionInfo, rewound: Callable[[], None]) -> kopf.AiohttpSession:
    """Return the connection, whose watches ask for metadata only, and go on from where it is possible.

    The handlers look at nothing else, and specs are most of what would be sent, parsed and held.
    Lists are left as they are: one of metadata has ``items: null`` when it is empty, which kopf
    cannot read.
    """

    async def adjust(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        if "watch" in request.url.query:
            request.headers["Accept"] = _METADATA
            if await is_rewound(session, request):
                _log.warning("etcd has been restored; %s is watched anew", request.url.path)
                # From 0 on a watch begins with everything that there is. With bookmarks it would be a
                # streamed list, which a server that has just started refuses for a while.
                plain = request.url.without_query_params("allowWatchBookmarks")
                request.url = plain.update_query({VERSION: "0"})
                rewound()
        return await handler(request)

    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0, ssl=login.as_ssl_context(), socket_factory=narrow_socket
        ),
        headers=login.as_http_headers(),
        middlewares=(adjust,),
    )
    return kopf.AiohttpSession(
        server=login.server,
        default_namespace=login.default_namespace,
        aiohttp_session=session,
    )


class _NoDiffs(kopf.DiffBaseStorage):
    """Spares kopf the copies by which it would notice what has changed: no handler asks for that."""

    def build(self, **_: Any) -> Any:
        """Return an essence in which nothing ever differs."""
        return {}

    def fetch(self, **_: Any) -> Any:
        """Return that nothing has been stored."""
        return None

    def store(self, **_: Any) -> None:
        """Store nothing."""


def _on_event(registry: kopf.OperatorRegistry, kind: Kind, handler: Callable[..., Any]) -> None:
    kopf.on.event(kind.group, kind.version, kind.plural, registry=registry, id="touched")(handler)


class Backoffs:
    """Seconds between tries of a request, without end.

    kopf gives up after the last one and then stops watching altogether. A namespace that is deleted,
    or whose rights were taken away, may not blind the operator for all others.
    """

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((1, 2, 4, 8, 15), itertools.repeat(30))


def _settings() -> kopf.OperatorSettings:
    """Return kopf's settings: no peering, no scanning of the cluster, watches that end in time."""
    settings = kopf.OperatorSettings()
    settings.peering.standalone = True
    settings.persistence.diffbase_storage = _NoDiffs()
    settings.scanning.disabled = True
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 310
    settings.watching.reconnect_backoff = 2
    settings.watching.chunk_size = 100
    # Handlers only wake keys. What kopf holds for each object while it waits for more of it is most
    # of what a thousand changes take.
    settings.queueing.idle_timeout = 0.1
    settings.networking.request_timeout = 30
    settings.networking.error_backoffs = Backoffs()
    settings.posting.enabled = False
    return settings


class Watcher(threading.Thread):
    """Watches the cluster in a thread; the thread ends only when told to, or if watching fails."""

    def __init__(
        self,
        settings: Settings,
        *,
        wake: Wake,
        wake_all: WakeAll,
        ended: Callable[[], object],
    ) -> None:
        super().__init__(name="watcher", daemon=True)
        self._settings = settings
        self._wake = wake
        self._wake_all = wake_all
        self._ended = ended
        self._stop_flag = threading.Event()
        self.failure: BaseException | None = None
        """What ended the watching, if it was not ``stop``."""

    def run(self) -> None:
        """Watch until told to stop."""
        run(self._watch())

    def stop(self) -> None:
        """Tell the thread to end."""
        self._stop_flag.set()

    async def _watch(self) -> None:
        operators = [self._watch_own()]
        if self._settings.stack_namespaces:
            operators.append(self._watch_children())
        try:
            await asyncio.gather(*operators)
        except BaseException as error:  # noqa: BLE001 - the main thread reports it and ends
            self.failure = error
        finally:
            # Said here, since one kopf operator may not end when the other has failed.
            self._ended()
            await asyncio.sleep(_CLOSING_SECONDS)

    async def _watch_own(self) -> None:
        await kopf.operator(
            registry=own_kinds(self._settings, self._wake, self._wake_all),
            settings=_settings(),
            clusterwide=True,
            identity=_IDENTITY,
            stop_flag=self._stop_flag,
        )

    async def _watch_children(self) -> None:
        settings = _settings()
        selector = ",".join(f"{name}={value}" for name, value in MANAGED_BY.items())
        for kind in STACK_CHILDREN:
            settings.watching.label_selectors[kind.group, kind.version, kind.plural] = selector
        everywhere = "*" in self._settings.stack_namespaces
        await kopf.operator(
            registry=stack_children(self._settings, self._wake),
            settings=settings,
            clusterwide=everywhere,
            namespaces=() if everywhere else self._settings.stack_namespaces,
            identity=_IDENTITY,
            stop_flag=self._stop_flag,
        )
