"""What an API server offers by its own discovery, and requests for all of it as one user or another.

Not by kubectl, which asks for something else where a verb is unusual, and takes a process for each.
"""

import json
import ssl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from e2e.cluster.api import Access
from firewatch.api.resource import Object

_SECONDS = 15.0
_METHODS = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "deletecollection": "DELETE",
}
_OF_ALL = frozenset({"list", "watch", "create", "deletecollection"})
"""Verbs of which the path names no object."""
# From whatever the API server remembers: otherwise it first waits seconds for what is newest.
_QUERIES = {"watch": ["watch=1", "resourceVersion=0", "timeoutSeconds=1"]}
_CHANGE: Object = {"metadata": {"annotations": {"example.org/by": "a tenant"}}}
_ABSENT = "absent"
"""Name of an object where there is none."""

Versions = dict[str, tuple[str, str, str]]
"""Plural, name and version of objects, by uid."""


@dataclass(frozen=True)
class Offer:
    """A resource or subresource, and what can be asked of it."""

    prefix: str
    """Path of its group and version."""
    plural: str
    subresource: str
    kind: str
    verbs: tuple[str, ...]
    is_namespaced: bool

    @property
    def title(self) -> str:
        """Return it as a Role names it."""
        return "/".join(filter(None, (self.plural, self.subresource)))

    @property
    def api_version(self) -> str:
        """Return group and version as an object says them."""
        return self.prefix.removeprefix("/apis/").removeprefix("/api/")


@dataclass(frozen=True)
class Attempt:
    """One request for one verb."""

    offer: Offer
    verb: str
    path: str
    body: Object | None = None

    def __str__(self) -> str:
        return f"{self.verb} {self.path}"


@dataclass(frozen=True)
class Answer:
    """What the API server says to it."""

    status: int
    text: str

    def refuses(self, user: str) -> bool:
        """Tell whether RBAC refuses it; admission refuses with the same status and other words."""
        if self.status != HTTPStatus.FORBIDDEN:
            return False
        return f'User "{user}" cannot' in json.loads(self.text)["message"]


class Line:
    """A connection to the API server, as the administrator or as somebody whom that one impersonates."""

    def __init__(self, connection: HTTPSConnection, user: str) -> None:
        self._connection = connection
        self._headers = {"Accept": "application/json"}
        if user:
            self._headers["Impersonate-User"] = user

    def ask(self, attempt: Attempt) -> Answer:
        """Send a request and return the answer; of a watch only its beginning."""
        is_patch = attempt.verb == "patch"
        content = "application/merge-patch+json" if is_patch else "application/json"
        body = None if attempt.body is None else json.dumps(attempt.body)
        headers = self._headers | ({"Content-Type": content} if body else {})
        self._connection.request(_METHODS[attempt.verb], attempt.path, body, headers)
        response = self._connection.getresponse()
        if attempt.verb == "watch" and response.status == HTTPStatus.OK:
            self._connection.close()  # the next request opens another
            return Answer(response.status, "")
        return Answer(response.status, response.read().decode(errors="replace"))

    def read(self, path: str) -> Any:
        """Return what stands at a path."""
        self._connection.request("GET", path, headers=self._headers)
        response = self._connection.getresponse()
        text = response.read().decode()
        assert response.status == HTTPStatus.OK, f"{path}: {response.status} {text}"
        return json.loads(text)


@contextmanager
def line_of(access: Access, user: str = "") -> Iterator[Line]:
    """Open a connection with a client certificate, as somebody else if a user is named."""
    assert access.client is not None
    address = urlsplit(access.server)
    context = ssl.create_default_context(cafile=str(access.authority))
    context.load_cert_chain(access.client.certificate, access.client.key)
    connection = HTTPSConnection(
        address.hostname or "", address.port, timeout=_SECONDS, context=context
    )
    try:
        yield Line(connection, user)
    finally:
        connection.close()


def discover(line: Line) -> list[Offer]:
    """Return all that the API server offers, in every version."""
    groups = line.read("/apis")["groups"]
    prefixes = [f"/apis/{each['groupVersion']}" for group in groups for each in group["versions"]]
    return [
        _offer(prefix, each)
        for prefix in ("/api/v1", *prefixes)
        for each in line.read(prefix)["resources"]
    ]


def _offer(prefix: str, entry: Object) -> Offer:
    plural, _, subresource = entry["name"].partition("/")
    verbs = tuple(entry["verbs"])
    return Offer(prefix, plural, subresource, entry["kind"], verbs, entry["namespaced"])


def attempts(
    offers: Iterable[Offer],
    namespace: str,
    known: Mapping[tuple[str, str], Object] | None = None,
    *,
    dry: bool = False,
) -> list[Attempt]:
    """Return a request for each verb of each offer: in a namespace, or without one if it is empty.

    They are about objects that are known, by path of the version and plural, and otherwise about some
    that are not there. ``dry`` ones change nothing where they are allowed.
    """
    there = known or {}
    return [
        _attempt(each, verb, namespace, there.get((each.prefix, each.plural), {}), dry=dry)
        for each in offers
        for verb in each.verbs
    ]


def _attempt(offer: Offer, verb: str, namespace: str, known: Object, *, dry: bool) -> Attempt:
    place = f"/namespaces/{namespace}" if namespace else ""
    path = f"{offer.prefix}{place}/{offer.plural}"
    if offer.subresource or verb not in _OF_ALL:
        path += f"/{known.get('metadata', {}).get('name', _ABSENT)}"
    if offer.subresource:
        path += f"/{offer.subresource}"
    query = "&".join([*_QUERIES.get(verb, []), *(["dryRun=All"] if dry else [])])
    body = _body(offer, verb, namespace, known)
    return Attempt(offer, verb, f"{path}?{query}" if query else path, body)


def _body(offer: Offer, verb: str, namespace: str, known: Object) -> Object | None:
    if verb == "patch":
        return _CHANGE
    if verb not in ("create", "update"):
        return None
    metadata: Object = {"name": "by-a-tenant"}
    if namespace:
        metadata["namespace"] = namespace
    if verb == "update" and known:
        metadata = {**known["metadata"], **_CHANGE["metadata"]}
    rest = known if verb == "update" else {}
    return {**rest, "apiVersion": offer.api_version, "kind": offer.kind, "metadata": metadata}


def objects_in(
    line: Line, offers: Iterable[Offer], namespace: str
) -> dict[tuple[str, str], list[Object]]:
    """Return the objects of a namespace, by path of the version and plural."""
    return {
        (each.prefix, each.plural): items
        for each in offers
        if each.is_namespaced and not each.subresource and "list" in each.verbs
        if (items := line.read(f"{each.prefix}/namespaces/{namespace}/{each.plural}")["items"])
    }


def versions_in(line: Line, offers: Iterable[Offer], namespace: str) -> Versions:
    """Return the versions of all objects of a namespace but Events."""
    return {
        item["metadata"]["uid"]: (
            plural,
            item["metadata"]["name"],
            item["metadata"]["resourceVersion"],
        )
        for (_, plural), items in objects_in(line, offers, namespace).items()
        for item in items
        if plural != "events"
    }
