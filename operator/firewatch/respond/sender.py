"""Who sends: the token that a stack's Prometheus presents leads to its pod and so to the stack."""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Generic, TypeVar

from firewatch.api.resource import Key, Object
from firewatch.cluster.client import Cluster, Verb, Write
from firewatch.cluster.errors import NotFoundError
from firewatch.cluster.kinds import POD, TOKEN_REVIEW
from firewatch.respond.registry import source_key
from firewatch.settings import PROMETHEUS_ROLE, RECEIVER_AUDIENCE, STACK_LABEL, Settings

_CACHE_SECONDS = 60.0
_REFUSED_CACHE_SECONDS = 10.0
_CACHE_SIZE = 1000
_ASKED_AT_A_TIME = 8
"""However many tokens are tried, the operator's own requests get a connection."""
_DOTS = 2
"""In the token of a ServiceAccount, which is a JSON Web Token."""
_POD_NAME = "authentication.kubernetes.io/pod-name"
_POD_UID = "authentication.kubernetes.io/pod-uid"
_T = TypeVar("_T")


class Remembered(Generic[_T]):
    """What has been found out about tokens, by their hashes, for a while."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[_T | None, float]] = OrderedDict()
        self._asking = asyncio.Semaphore(_ASKED_AT_A_TIME)

    async def find(self, token: str, ask: Callable[[], Awaitable[_T | None]]) -> _T | None:
        """Return what is known of a token, or ask; None if it may not send alerts."""
        digest = hashlib.sha256(token.encode()).hexdigest()
        if not self._is_known(digest):
            async with self._asking:
                # Unless it has been found out while this one waited.
                if not self._is_known(digest):
                    self._remember(digest, await ask())
        return self._known[digest][0]

    def _is_known(self, digest: str) -> bool:
        _, until = self._known.get(digest, (None, 0.0))
        return until > time.monotonic()

    def _remember(self, digest: str, found: _T | None) -> None:
        seconds = _REFUSED_CACHE_SECONDS if found is None else _CACHE_SECONDS
        self._known[digest] = (found, time.monotonic() + seconds)
        self._known.move_to_end(digest)
        while len(self._known) > _CACHE_SIZE:
            self._known.popitem(last=False)


class Senders:
    """Tells which stack a token belongs to; asks the API server at most once a minute a token."""

    def __init__(self, cluster: Cluster, settings: Settings) -> None:
        self._cluster = cluster
        self._settings = settings
        self._known: Remembered[Key] = Remembered()

    async def identify(self, token: str) -> Key | None:
        """Return the source that a token belongs to; None if it may not send alerts.

        ``ClusterError`` if the API server cannot be asked.
        """
        if token.count(".") != _DOTS:
            return None  # whoever makes noise does not have the API server asked about it
        return await self._known.find(token, partial(self._ask, token))

    async def _ask(self, token: str) -> Key | None:
        body = {
            "apiVersion": TOKEN_REVIEW.api_version,
            "kind": TOKEN_REVIEW.kind,
            "spec": {"token": token, "audiences": [RECEIVER_AUDIENCE]},
        }
        review = await self._cluster.write(Write(Verb.CREATE, TOKEN_REVIEW, "", "", body))
        pod = _pod_of(review.get("status", {}))
        if pod is None:
            return None
        namespace, name, uid = pod
        if not self._settings.grants_stacks(namespace):
            return None
        try:
            live = await self._cluster.get(POD, namespace, name)
        except NotFoundError:
            return None
        stack = live["metadata"].get("labels", {}).get(STACK_LABEL)
        return source_key(namespace, stack) if stack and live["metadata"]["uid"] == uid else None


def _pod_of(status: Object) -> tuple[str, str, str] | None:
    """Return namespace, name and uid of the pod whose token was reviewed, if it is a Prometheus."""
    if not status.get("authenticated") or RECEIVER_AUDIENCE not in status.get("audiences", ()):
        return None
    user = status.get("user", {})
    prefix, _, account = str(user.get("username", "")).rpartition(":")
    start, _, namespace = prefix.rpartition(":")
    extra = user.get("extra", {})
    name, uid = extra.get(_POD_NAME, [""])[0], extra.get(_POD_UID, [""])[0]
    if start != "system:serviceaccount" or account != PROMETHEUS_ROLE or not (name and uid):
        return None
    return namespace, name, uid
