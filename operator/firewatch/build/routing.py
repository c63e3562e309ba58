"""Routes, time intervals and inhibitions in Alertmanager's words; each stands or falls alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic.alias_generators import to_camel

from firewatch.api.alerting import LeftOut
from firewatch.api.resource import Object, parse_duration
from firewatch.api.routing import Grouping, RootRoute, RouteLeaf, TimeInterval
from firewatch.build.matchers import Matcher, is_label, parse_matcher, render_matchers
from firewatch.build.notifying import Owner, SettingError

NOBODY = "firewatch/nobody"
"""Name of the receiver that tells nobody."""
ALL_LABELS = "..."


@dataclass(frozen=True)
class Known:
    """What routes of one owner may refer to, by the name as written there."""

    receivers: Mapping[str, str]
    """Names in Alertmanager's configuration; empty for receivers of which nothing works."""
    intervals: Mapping[str, str]
    """Names in Alertmanager's configuration; empty for intervals that cannot be used."""


@dataclass
class Routing:
    """Renders the routes of one owner, and notes what does not run."""

    owner: Owner
    known: Known
    left_out: list[LeftOut] = field(default_factory=list)

    def root(self, route: RootRoute, path: str) -> Object:
        """Return the settings of the root route, without the routes below it."""
        return {
            "receiver": self.known.receivers[route.receiver] or NOBODY,
            **self._grouping(route, path),
        }

    def routes(
        self, routes: Sequence[RouteLeaf], path: str, *, forced: Sequence[Matcher] = ()
    ) -> list[Object]:
        """Return routes and those below them; one that is at fault is left out and noted."""
        found = []
        for index, route in enumerate(routes):
            here = f"{path}[{index}]"
            try:
                matchers = [*forced, *self.matchers(route.matchers)]
            except SettingError as error:
                self.left_out.append(self.owner.left_out(f"{here}.matchers", error))
                continue
            found.append(self._route(route, matchers, here))
        return found

    def _route(self, route: RouteLeaf, matchers: Sequence[Matcher], path: str) -> Object:
        receiver = self.receiver(route.receiver, path) if route.receiver else ""
        found: Object = {
            **({"matchers": render_matchers(matchers)} if matchers else {}),
            **({"receiver": receiver} if receiver else {}),
            **self._grouping(route, path),
        }
        for name, wanted in (
            ("mute_time_intervals", route.mute_time_intervals),
            ("active_time_intervals", route.active_time_intervals),
        ):
            if intervals := self._intervals(wanted, f"{path}.{to_camel(name)}"):
                found[name] = intervals
        if route.continue_:
            found["continue"] = True
        below = self.routes(getattr(route, "routes", ()), f"{path}.routes")
        return {**found, "routes": below} if below else found

    def matchers(self, texts: Sequence[str]) -> list[Matcher]:
        """Return matchers; ``SettingError`` if one is none."""
        try:
            return [parse_matcher(text) for text in texts]
        except ValueError as error:
            raise SettingError("BadMatcher", str(error)) from error

    def labels(self, names: Sequence[str]) -> list[str]:
        """Return names of labels; ``SettingError`` if one is none."""
        for name in names:
            if not is_label(name):
                raise SettingError("BadLabel", f"{name!r} is not the name of a label")
        return list(dict.fromkeys(names))

    def receiver(self, wanted: str, path: str) -> str:
        """Return the receiver's name, or nothing: then the alerts go where the route above sends."""
        name = self.known.receivers.get(wanted)
        if name is None:
            message = f"there is no receiver {wanted}; its alerts go where others go"
            error = SettingError("ReceiverNotFound", message)
            self.left_out.append(self.owner.left_out(f"{path}.receiver", error))
        return name or ""

    def _intervals(self, names: Sequence[str], path: str) -> list[str]:
        """Return the intervals that can be used: without one, more is told rather than less."""
        found = []
        for name in names:
            if name not in self.known.intervals:
                error = SettingError("IntervalNotFound", f"there is no time interval {name}")
                self.left_out.append(self.owner.left_out(path, error))
            elif self.known.intervals[name]:
                found.append(self.known.intervals[name])
        return found

    def _grouping(self, route: Grouping, path: str) -> Object:
        found: Object = {}
        if route.group_by is not None:
            try:
                found["group_by"] = self._group_by(route.group_by)
            except SettingError as error:
                self.left_out.append(self.owner.left_out(f"{path}.groupBy", error))
        for name in ("group_wait", "group_interval", "repeat_interval"):
            value = getattr(route, name)
            if value and (parse_duration(value) > 0 or name == "group_wait"):
                found[name] = value
            elif value:
                zero = SettingError("BadTime", "it must be longer than 0")
                self.left_out.append(self.owner.left_out(f"{path}.{to_camel(name)}", zero))
        return found

    def _group_by(self, names: Sequence[str]) -> list[str]:
        if ALL_LABELS in names:
            if len(names) > 1:
                raise SettingError("BadLabel", "... stands alone: it is every label")
            return [ALL_LABELS]
        return self.labels(names)


def render_intervals(
    intervals: Sequence[TimeInterval], owner: Owner, path: str, *, zones: frozenset[str]
) -> tuple[list[Object], dict[str, str], list[LeftOut]]:
    """Return time intervals, their names by the name as written, and what does not run."""
    found: list[Object] = []
    known: dict[str, str] = {}
    left_out = []
    for index, interval in enumerate(intervals):
        try:
            found.append(_interval(interval, owner, zones))
        except SettingError as error:
            known[interval.name] = ""
            left_out.append(owner.left_out(f"{path}[{index}]", error))
        else:
            known[interval.name] = owner.qualified(interval.name)
    return found, known, left_out


def _interval(interval: TimeInterval, owner: Owner, zones: frozenset[str]) -> Object:
    spans = []
    for span in interval.time_intervals:
        if span.location and span.location not in zones:
            raise SettingError("BadLocation", f"the time zone {span.location} is not known here")
        for time in span.times:
            if time.start_time >= time.end_time:
                raise SettingError("BadTime", f"{time.start_time} is not before {time.end_time}")
        _check_ranges("weekdays", span.weekdays, _WEEKDAYS.index)
        _check_ranges("months", span.months, _month)
        _check_ranges("years", span.years, int)
        _check_ranges("daysOfMonth", span.days_of_month, _day)
        data = span.model_dump(mode="json", exclude_none=True)
        spans.append({name: value for name, value in data.items() if value})
    return {"name": owner.qualified(interval.name), "time_intervals": spans}


_WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_SHORTEST_MONTH = 28
_LONGEST_MONTH = 31


def _month(text: str) -> int:
    return int(text) if text.isdecimal() else _MONTHS.index(text) + 1


def _day(text: str) -> int:
    """Return a day counted from the first, as in the shortest month."""
    day = int(text)
    if not 0 < abs(day) <= _LONGEST_MONTH:
        raise SettingError("BadTime", f"daysOfMonth: {text} is not a day of a month")
    return day if day > 0 else _SHORTEST_MONTH + day


def _check_ranges(field: str, ranges: Sequence[str], position: Callable[[str], int]) -> None:
    """Refuse ranges that end before they begin: Alertmanager would refuse everything."""
    for text in ranges:
        first, _, rest = text.partition(":")
        last = rest or first
        wraps = first.startswith("-") and not last.startswith("-")
        if position(first) > position(last) or wraps:
            raise SettingError("BadTime", f"{field}: {text} ends before it begins")
