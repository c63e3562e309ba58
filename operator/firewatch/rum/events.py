"""What a browser sends, read with care: nothing of it is believed that is not listed (pure)."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from firewatch.api.real_users import RealUserMonitoring
from firewatch.rum.pages import Pages

BODY_LIMIT = 64 * 1024
"""Bytes of a request; no browser sends more in a beacon."""
_EVENT_LIMIT = 100
_LONGEST_SECONDS = 600.0
_HIGHEST_SHIFT = 100.0
OTHER = "other"

_TAGS = frozenset(
    {
        *("a", "area", "audio", "button", "canvas", "details", "dialog", "div", "form", "h1"),
        *("h2", "h3", "i", "iframe", "img", "input", "label", "li", "nav", "option", "p", "path"),
        *("section", "select", "span", "summary", "svg", "table", "td", "textarea", "th", "tr"),
        *("ul", "video"),
    }
)
"""HTML elements that people click; others are ``other``."""

_Text = Annotated[str, Field(max_length=1024)]


class Drop(StrEnum):
    """Why an event is not counted."""

    SERVICE = "service"
    """Its ``serviceName`` is not among ``serviceNames``."""
    ENVIRONMENT = "environment"
    """Its ``environment`` is not among ``environments``."""
    NAME = "name"
    """It is none of ours, and not among ``events``."""
    VALUE = "value"
    """A duration or score is missing, or cannot be."""


class _Sent(BaseModel):
    """Base of what browsers send: of unknown fields nothing is made."""

    model_config = ConfigDict(
        extra="ignore", frozen=True, alias_generator=to_camel, allow_inf_nan=False
    )


class Event(_Sent):
    """One event."""

    name: _Text
    """What happened."""
    page: _Text = ""
    """Path of the page."""
    duration: float | None = None
    """Milliseconds that it took."""
    metric: _Text = ""
    """Name of a web vital."""
    value: float | None = None
    """Value of the web vital: milliseconds, or the score of CLS."""
    target: _Text = ""
    """Name of the element that was clicked."""


class Batch(_Sent):
    """The events of one request."""

    api_key: _Text
    service_name: _Text
    environment: _Text
    events: list[Event] = Field(max_length=_EVENT_LIMIT)


class Vital(StrEnum):
    """The web vitals, by the names that browsers' libraries have for them."""

    LCP = "LCP"
    FCP = "FCP"
    INP = "INP"
    TTFB = "TTFB"
    CLS = "CLS"


@dataclass(frozen=True)
class Origin:
    """Where events are from: labels of all that is made of them."""

    service: str
    environment: str
    page: str


@dataclass(frozen=True)
class PageLoad:
    """A page has loaded."""

    origin: Origin
    seconds: float


@dataclass(frozen=True)
class VitalMeasured:
    """A web vital of a page is known."""

    origin: Origin
    vital: Vital
    value: float
    """Seconds, or the score of CLS."""


@dataclass(frozen=True)
class Interaction:
    """Somebody has clicked."""

    origin: Origin
    target: str


@dataclass(frozen=True)
class Failure:
    """A script of the page has failed."""

    origin: Origin


@dataclass(frozen=True)
class Custom:
    """An event of the user's own."""

    origin: Origin
    name: str
    seconds: float | None


Happening = PageLoad | VitalMeasured | Interaction | Failure | Custom


@dataclass(frozen=True)
class Reader:
    """Reads events by what a stack lists."""

    wanted: RealUserMonitoring
    pages: Pages

    def read(self, batch: Batch) -> Iterator[Happening | Drop]:
        """Yield what each event means, or why it is dropped."""
        for event in batch.events:
            if batch.service_name not in self.wanted.service_names:
                yield Drop.SERVICE
            elif batch.environment not in self.wanted.environments:
                yield Drop.ENVIRONMENT
            else:
                page = self.pages.find(event.page) or OTHER
                yield self._read(event, Origin(batch.service_name, batch.environment, page))

    def _read(self, event: Event, origin: Origin) -> Happening | Drop:
        match event.name:
            case "page_load":
                seconds = _seconds(event.duration)
                # Read before its end, loadEventEnd is 0, and what is made of it is no duration.
                return PageLoad(origin, seconds) if seconds else Drop.VALUE
            case "web_vital":
                return _vital(event, origin)
            case "user_interaction":
                tag = event.target.lower()
                return Interaction(origin, tag if tag in _TAGS else OTHER)
            case "error":
                return Failure(origin)
            case name if name in self.wanted.events:
                return _custom(event, origin)
        return Drop.NAME


def _custom(event: Event, origin: Origin) -> Happening | Drop:
    seconds = _seconds(event.duration)
    is_wrong = event.duration is not None and seconds is None
    return Drop.VALUE if is_wrong else Custom(origin, event.name, seconds)


def _vital(event: Event, origin: Origin) -> Happening | Drop:
    if event.metric not in {*Vital}:
        return Drop.NAME
    vital = Vital(event.metric)
    if vital is Vital.CLS:
        is_score = event.value is not None and 0 <= event.value <= _HIGHEST_SHIFT
        return VitalMeasured(origin, vital, event.value or 0.0) if is_score else Drop.VALUE
    seconds = _seconds(event.value)
    return Drop.VALUE if seconds is None else VitalMeasured(origin, vital, seconds)


def _seconds(milliseconds: float | None) -> float | None:
    """Return a duration in seconds; None if it is missing or cannot be."""
    if milliseconds is None or not 0 <= milliseconds <= 1000 * _LONGEST_SECONDS:
        return None
    return milliseconds / 1000
