"""Rule files: what a policy asks for, as Prometheus reads it."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from firewatch.api.alerts import AlertPolicySpec, PrometheusRule, RuleGroup
from firewatch.api.resource import Object
from firewatch.api.slos import Slo
from firewatch.build import names
from firewatch.build.escalations import escalation_rules
from firewatch.build.rule_text import render_rule_file
from firewatch.build.slos import PERIOD_INTERVAL, build_period_rules, build_slo_rules
from firewatch.build.thresholds import build_threshold_rule

RESERVED_PREFIX = "firewatch:"
"""Groups of this prefix are ours; a policy may not use it."""

THRESHOLDS_GROUP = f"{RESERVED_PREFIX}thresholds"
ESCALATIONS_GROUP = f"{RESERVED_PREFIX}escalations"
MARKER_GROUP = f"{RESERVED_PREFIX}marker"
MARKER_ALERT = "FirewatchMarker"
MARKER_LABEL = "firewatch_hash"

_MARKER_REVISION = re.compile(rf"^ *{MARKER_LABEL}: '?([-0-9a-fr]+)'?$", re.MULTILINE)


@dataclass(frozen=True)
class Place:
    """Where a rule stands in its policy: its group, counted from 0, and its index there."""

    group: int
    index: int


@dataclass(frozen=True)
class Group:
    """A group of rules that a policy asks for."""

    name: str
    header: Mapping[str, Any]
    """Fields of the group besides ``name`` and ``rules``, as in a rule file."""
    rules: tuple[PrometheusRule, ...]
    reserved: bool = False
    """Whether the group is ours, so that it may have a name of ours."""


@dataclass(frozen=True)
class RuleFile:
    """The rules of one policy as a file."""

    name: str
    text: str
    home: int
    """Slot in which the file starts."""

    @property
    def size(self) -> int:
        """Return how many bytes the file takes of a ConfigMap."""
        return len(self.name) + len(self.text.encode())


def policy_groups(spec: AlertPolicySpec, policy: str = "") -> tuple[Group, ...]:
    """Return the groups of a policy as written, after those that its short forms make.

    ``policy`` is its namespace and name, by which its objectives and escalations are known.
    """
    groups: list[Group] = []
    if spec.thresholds:
        rules = tuple(map(build_threshold_rule, spec.thresholds))
        groups.append(Group(THRESHOLDS_GROUP, {}, rules, reserved=True))
    for slo in spec.slos:
        groups += _slo_groups(slo, policy)
    groups += map(_written, spec.groups)
    if escalations := escalation_rules(spec, policy):
        groups.append(Group(ESCALATIONS_GROUP, {}, escalations, reserved=True))
    if spec.runbook_url:
        return tuple(_with_runbook(group, spec.runbook_url) for group in groups)
    return tuple(groups)


def slo_period_group(slo: Slo) -> str:
    """Return the name of the group that looks at the whole window of an objective."""
    return f"{RESERVED_PREFIX}slo-period:{slo.name}"


def _slo_groups(slo: Slo, policy: str) -> list[Group]:
    often, seldom = build_slo_rules(slo, policy), build_period_rules(slo, policy)
    interval = {"interval": PERIOD_INTERVAL}
    return [
        Group(f"{RESERVED_PREFIX}slo:{slo.name}", {}, often, reserved=True),
        Group(slo_period_group(slo), interval, seldom, reserved=True),
    ]


def _with_runbook(group: Group, url: str) -> Group:
    """Return a group whose alerts all have the annotation runbook_url."""
    if "{{" in url and group.name == ESCALATIONS_GROUP:
        return group  # its templates speak of the alert, which here has another name
    rules = (
        rule.model_copy(update={"annotations": {"runbook_url": url, **rule.annotations}})
        if rule.alert
        else rule
        for rule in group.rules
    )
    return replace(group, rules=tuple(rules))


def rule_name(rule: PrometheusRule) -> str:
    """Return the name of the alert or of the series."""
    return rule.alert or rule.record or ""


def render_rules(groups: Iterable[Group], rejected: Collection[Place]) -> str:
    """Return the rule file without the rejected rules; empty if no rule is left."""
    found = [
        {"name": group.name, **group.header, "rules": rules}
        for position, group in enumerate(groups)
        if (rules := _accepted(position, group, rejected))
    ]
    return render_rule_file(found) if found else ""


def render_marker(slot: int, revision: str, owner: str = "") -> RuleFile:
    """Return the file by which the server shows which content of a slot it has loaded.

    Its one rule never fires and is evaluated once a day. The group's name never changes, since each
    new name would make new series.
    """
    rule = {"alert": MARKER_ALERT, "expr": "vector(0) > 1", "labels": {MARKER_LABEL: revision}}
    group = {"name": MARKER_GROUP, "interval": "1d", "rules": [rule]}
    return RuleFile(names.marker_file(slot, owner), render_rule_file([group]), slot)


def marker_revision(text: str) -> str:
    """Return the hash in a marker file of ours; empty if there is none."""
    match = _MARKER_REVISION.search(text)
    return match[1] if match else ""


def slot_revision(files: Mapping[str, str]) -> str:
    """Return the hash of a slot's files, given their digests by name."""
    return names.short_hash("".join(f"{name}\0{files[name]}\0" for name in sorted(files)), 16)


def digest(text: str) -> str:
    """Return the hash of a rule file's text."""
    return names.short_hash(text, 16)


def _accepted(position: int, group: Group, rejected: Collection[Place]) -> list[Object]:
    return [
        rule_entry(rule)
        for index, rule in enumerate(group.rules)
        if Place(position, index) not in rejected
    ]


def rule_entry(rule: PrometheusRule) -> Object:
    """Return a rule as it stands in a rule file."""
    data: Object = rule.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {key: value for key, value in data.items() if value != {}}


def _written(group: RuleGroup) -> Group:
    header: Object = group.model_dump(mode="json", by_alias=True, exclude_none=True)
    for key in ("name", "rules"):
        del header[key]
    if not header["labels"]:
        del header["labels"]
    return Group(group.name, header, tuple(group.rules))
