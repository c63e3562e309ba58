"""The block ``realUserMonitoring`` of a MonitoringStack: what browsers tell of pages and their users."""

from typing import Annotated

from pydantic import Field

from firewatch.api.ingress import Ingress
from firewatch.api.resource import Model, Rule, SecretKeySelector, rules
from firewatch.api.workload import Workload

OWN_EVENTS = ("page_load", "web_vital", "user_interaction", "error")
"""Events that are always taken."""

Origin = Annotated[
    str,
    Field(
        pattern=r"^https?://([a-z0-9]([-a-z0-9.]*[a-z0-9])?|\[[0-9a-f:.]+\])(:[0-9]{1,5})?$",
        max_length=255,
    ),
]
"""Scheme, host and port of a page, as browsers send it."""
_Word = Annotated[str, Field(pattern=r"^[a-zA-Z0-9]([-a-zA-Z0-9_.]*[a-zA-Z0-9])?$", max_length=63)]
_Event = Annotated[str, Field(pattern=r"^[a-z]([a-z0-9_]*[a-z0-9])?$", max_length=63)]
_Page = Annotated[str, Field(pattern=r"^(/:?[^\s/:*?#]*)*(/\*)?$", min_length=1, max_length=256)]


class RumLimits(Model):
    """How much is taken in; what is beyond is answered with 429 and lost."""

    client_per_minute: int = Field(default=600, ge=1, le=100_000)
    """Requests of one client within a minute. A page sends one every five seconds at most, and one
    when it is left; people of one office are often one client.
    """
    total_per_second: int = Field(default=100, ge=1, le=100_000)
    """Requests of all clients within a second, by each pod."""


class RealUserMonitoring(
    Workload,
    json_schema_extra=rules(
        Rule(
            f"!has(self.events) || !self.events.exists(e, e in {[*OWN_EVENTS]})",
            f"events: {', '.join(OWN_EVENTS)} are always taken; leave them out",
        ),
    ),
):
    """An address to which browsers send how pages load and what users do, as metrics.

    It also serves the script that pages include: ``/rum.js``. No text that a browser sends becomes a
    label: names, environments, pages and events are those listed here, and everything else is counted and dropped.
    """

    own_flags = frozenset({"config", "key", "port", "metrics-port"})

    ingress: Ingress | None = None
    """Name under which browsers reach it; clients are then told apart as with ``behindProxy``."""
    replicas: int = Field(default=1, ge=1, le=10)
    """Number of pods."""
    api_key: SecretKeySelector
    """Key of a Secret with what a page must send as ``apiKey``; of several lines each is good, as while
    one is being replaced. It stands in pages that everybody can read: it tells applications apart,
    and keeps out nobody who wants to send made-up events.
    """
    origins: list[Origin] = Field(min_length=1, max_length=16)
    """Origins of the pages that may send, as ``https://app.example.org``."""
    service_names: list[_Word] = Field(min_length=1, max_length=8)
    """Values of ``serviceName`` that are taken; the label ``service``."""
    environments: list[_Word] = Field(default=["production"], min_length=1, max_length=4)
    """Values of ``environment`` that are taken; the label ``environment``."""
    pages: list[_Page] = Field(default=[], max_length=32)
    """Pages that are told apart, as ``/agents/:id``, by the label ``page``: ``:id`` stands for any part
    between slashes, ``/*`` at the end for any rest. All others are ``other``.
    """
    events: list[_Event] = Field(default=[], max_length=16)
    """Names of events of your own that ``track`` may send."""
    limits: RumLimits = RumLimits()
    """How much is taken in."""
    behind_proxy: bool = False
    """Whether clients are told apart by the last address in ``X-Forwarded-For``, as an ingress adds it.
    Without such a proxy a client could write there what it likes.
    """
