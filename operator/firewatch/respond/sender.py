"""Who sends: the token that a stack's Prometheus presents leads to its pod and so to the stack."""

import hashlib
import time
from collections import OrderedDict
from dataclasses import dataclass

from firewatch.api.resource import Key, Object
from firewatch.cluster.client import Cluster, Verb, Write
from firewatch.cluster.errors import NotFoundError
from firewatch.cluster.kinds import POD, TOKEN_REVIEW
from firewatch.respond.registry import source_key
from firewatch.settings import PROMETHEUS_ROLE, RECEIVER_AUDIENCE, STACK_LABEL, Settings

_CACHE_SECONDS = 60.0
_REFUSED_CACHE_SECONDS = 10.0
_CACHE_SIZE = 1000
_POD_NAME = "authentication.kubernetes.io/pod-name"
_POD_UID = "authentication.kubernetes.io/pod-uid"


@dataclass(frozen=True)
class _Known:
    source: Key | None
    until: float


class Senders:
    """Tells which stack a token belongs to; asks the API server at most once a minute a token."""

    def __init__(self, cluster: Cluster, settings: Settings) -> None:
        self._cluster = cluster
        self._settings = settings
        self._known: OrderedDict[str, _Known] = OrderedDict()

    async def identify(self, token: str) -> Key | None:
        """Return the source that a token belongs to; None if it may not send alerts.

        ``ClusterError`` if the API server cannot be asked.
        """
        digest = hashlib.sha256(token.encode()).hexdigest()
        known = self._known.get(digest)
        if known is not None and known.until > time.monotonic():
            return known.source
        source = await self._ask(token)
        seconds = _CACHE_SECONDS if source else _REFUSED_CACHE_SECONDS
        self._known[digest] = _Known(source, time.monotonic() + seconds)
        self._known.move_to_end(digest)
        while len(self._known) > _CACHE_SIZE:
            self._known.popitem(last=False)
        return source

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
