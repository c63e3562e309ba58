"""alertmanager.yml of a stack: whom Alertmanager tells, put together from all who have a say.

What a stack or a policy wrote is checked part by part before it goes in, since Alertmanager loads
all or nothing; a part that is at fault is left out and named.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from firewatch.api.alerting import Alerting, LeftOut, RouteRow, TemplateFile
from firewatch.api.resource import Object
from firewatch.build import names
from firewatch.build.escalations import LABEL
from firewatch.build.notifying import Credentials, Owner, SettingError, Sources
from firewatch.build.objects import Stack
from firewatch.build.policy_routes import RoutingPolicy, render_addition
from firewatch.build.receivers import check_text, render_receiver, render_smtp
from firewatch.build.routing import NOBODY, Known, Routing, render_intervals
from firewatch.build.selftest import render_test_routes
from firewatch.build.watchdog import render_watchdog_route
from firewatch.build.yaml_text import dump_yaml

_BASE = "spec.alerting"
_REVISION = f"{names.ALERTMANAGER_CONFIG_DIRECTORY}/revision-"
_SHOWN_REVISION = re.compile(rf"^- [\"']?{re.escape(_REVISION)}([0-9a-f]+)[\"']?$", re.MULTILINE)
_ROWS = 100


@dataclass(frozen=True)
class Notifications:
    """Everything that Alertmanager's pods need, and what was left out of it."""

    config: str
    files: dict[str, bytes]
    """Templates and credentials, by file name."""
    left_out: list[LeftOut]
    rows: list[RouteRow]
    ways: list[tuple[str, str]]
    """Ways of telling somebody, as receiver and integration."""

    @property
    def revision(self) -> str:
        """Return the hash by which a server shows that it runs this."""
        return config_revision(self.config) or ""


@dataclass
class _Draft:
    """The configuration while it is put together."""

    sources: Sources
    credentials: Credentials
    receivers: list[Object] = field(default_factory=list)
    intervals: list[Object] = field(default_factory=list)
    inhibitions: list[Object] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    escalations: list[Object] = field(default_factory=list)
    additions: list[Object] = field(default_factory=list)
    room: int = 600 * 1024
    """Bytes that policies may still take; a Secret holds 1 MiB."""
    smtp_fault: str | None = "the stack has no spec.alerting.smtp; add it"


def render_notifications(
    stack: Stack, alerting: Alerting, sources: Sources, policies: Sequence[RoutingPolicy] = ()
) -> Notifications:
    """Return the configuration of a stack's Alertmanager, with what policies add to it."""
    draft = _Draft(sources, Credentials(sources))
    owner = Owner(stack.namespace)
    head = _global(alerting, owner, draft)
    known = _known(alerting, owner, draft)
    routing = Routing(owner, known)
    root = routing.root(alerting.route, f"{_BASE}.route")
    own = {"routes": routing.routes(alerting.route.routes, f"{_BASE}.route.routes")}
    watchdog = render_watchdog_route(alerting.watchdog, known.receivers)
    draft.left_out += routing.left_out
    for policy in sorted(policies, key=lambda policy: policy.title):
        _add(policy, stack, known, draft)
    # Whatever is added in front of the stack's own routes leaves their places in the tree as they
    # are: Alertmanager would tell everything again otherwise.
    last = {key: value for key, value in own.items() if value}
    routes = [watchdog, *_escalations(draft), *draft.additions, last]
    if alerting.self_test:
        routes = [*render_test_routes(dict(_ways(draft.receivers))), *routes]
    route = {**root, "routes": routes}
    templates = _templates(alerting.templates, owner, draft)
    config: Object = {
        "global": head,
        "route": route,
        "inhibit_rules": [*severity_inhibitions(), *draft.inhibitions],
        "receivers": [*draft.receivers, {"name": NOBODY}],
        **({"time_intervals": draft.intervals} if draft.intervals else {}),
        "templates": [f"{names.ALERTMANAGER_CONFIG_DIRECTORY}/{name}" for name in templates],
    }
    return _finished(config, templates, draft)


def _add(policy: RoutingPolicy, stack: Stack, known: Known, draft: _Draft) -> None:
    """Add what a policy adds, if there is room for it."""
    addition = render_addition(
        policy, stack.namespace, known, sources=draft.sources, smtp_fault=draft.smtp_fault
    )
    draft.left_out += addition.left_out
    if draft.room < addition.size:
        owner = Owner(policy.namespace, policy.title)
        error = SettingError(
            "RoutesTooLarge", "the stack's settings have no room for it; make it smaller"
        )
        draft.left_out.append(owner.left_out("spec.routes", error))
        return
    draft.room -= addition.size
    draft.credentials.take(addition.credentials)
    draft.receivers += addition.receivers
    draft.intervals += addition.intervals
    draft.escalations += addition.escalations
    draft.additions += addition.routes
    draft.inhibitions += addition.inhibitions


def _escalations(draft: _Draft) -> list[Object]:
    """Return the routes of escalations; one that has none is told to nobody, not as an alert."""
    rest = {"matchers": [f'{LABEL}=~".+"'], "receiver": NOBODY}
    return [*draft.escalations, rest]


def _finished(config: Object, templates: dict[str, bytes], draft: _Draft) -> Notifications:
    """Return the configuration with its hash in a path that matches nothing.

    The hash speaks for the credentials by the versions of their Secrets: of the contents it would
    give away a weak password.
    """
    texts = {name: names.short_hash(text.decode(), 16) for name, text in templates.items()}
    content = repr((dump_yaml(config), sorted(texts.items()), _versions(draft.credentials)))
    config["templates"].append(_REVISION + names.short_hash(content, 16))
    return Notifications(
        config=dump_yaml(config),
        files={**templates, **draft.credentials.files},
        left_out=draft.left_out,
        rows=render_rows(config["route"])[:_ROWS],
        ways=_ways(draft.receivers),
    )


def _ways(receivers: Sequence[Object]) -> list[tuple[str, str]]:
    return [
        (receiver["name"], key.removesuffix("_configs"))
        for receiver in receivers
        for key in receiver
        if key != "name"
    ]


def _versions(credentials: Credentials) -> list[tuple[str, str]]:
    return sorted(credentials.versions.items())


def config_revision(text: str) -> str | None:
    """Return the hash that a configuration names, as written or as shown by the server."""
    found = _SHOWN_REVISION.findall(text)
    return str(found[-1]) if found else None


def _global(alerting: Alerting, owner: Owner, draft: _Draft) -> Object:
    found: Object = {"resolve_timeout": alerting.resolve_timeout}
    if alerting.smtp is None:
        return found
    needed = Credentials(draft.sources)
    try:
        found |= render_smtp(alerting.smtp, owner, needed)
    except SettingError as error:
        draft.smtp_fault = f"no e-mail can be sent: {error}"
        draft.left_out.append(owner.left_out(f"{_BASE}.smtp", error))
        return found
    draft.smtp_fault = None
    draft.credentials.take(needed)
    return found


def _known(alerting: Alerting, owner: Owner, draft: _Draft) -> Known:
    """Render what the stack's routes refer to; return the names of what works."""
    receivers = {}
    for index, receiver in enumerate(alerting.receivers):
        rendered = render_receiver(
            receiver,
            owner,
            f"{_BASE}.receivers[{index}]",
            sources=draft.sources,
            smtp_fault=draft.smtp_fault,
        )
        draft.left_out += rendered.left_out
        draft.credentials.take(rendered.credentials)
        draft.receivers.append(rendered.config)
        # A receiver that is meant to tell nobody, as some are, is as good as any.
        good = rendered.works or not rendered.left_out
        receivers[receiver.name] = owner.qualified(receiver.name) if good else ""
    intervals, known, left_out = render_intervals(
        alerting.time_intervals, owner, f"{_BASE}.timeIntervals", zones=draft.sources.zones
    )
    draft.intervals += intervals
    draft.left_out += left_out
    return Known(receivers, known)


def _templates(templates: Sequence[TemplateFile], owner: Owner, draft: _Draft) -> dict[str, bytes]:
    """Return the files with definitions of templates."""
    found = {}
    for index, template in enumerate(templates):
        try:
            text = check_text(_template_text(template, owner, draft.sources))
        except SettingError as error:
            draft.left_out.append(owner.left_out(f"{_BASE}.templates[{index}]", error))
            continue
        found[f"template-{template.name}.tmpl"] = text.encode()
    return found


def _template_text(template: TemplateFile, owner: Owner, sources: Sources) -> str:
    if template.config_map is None:
        return template.content or ""
    name, key = template.config_map.name, template.config_map.key
    held = sources.config_maps.get((owner.namespace, name))
    if held is None or key not in held.data:
        raise SettingError("TemplateNotFound", f"there is no key {key} in a ConfigMap {name}")
    return held.data[key].decode()


def severity_inhibitions() -> list[Object]:
    """Return the inhibitions that always hold: what is worse mutes what is less bad."""
    return [
        {
            # An escalation is no other alert: it may not mute the one that it is about.
            "source_matchers": [f'severity="{worse}"', f'{LABEL}=""'],
            "target_matchers": [f'severity=~"{less}"'],
            "equal": ["alertname", "namespace"],
        }
        for worse, less in (("critical", "warning|info"), ("warning", "info"))
    ]


def render_rows(route: Object, depth: int = 0, receiver: str = "") -> list[RouteRow]:
    """Return a route and those below it as rows of the status."""
    own = route.get("receiver", receiver)
    row = RouteRow(
        depth=depth,
        matchers=", ".join(route.get("matchers", ()))[:1024],
        receiver=own,
        policy=own.rpartition("/")[0] if own != NOBODY else "",
    )
    below = (
        each for child in route.get("routes", ()) for each in render_rows(child, depth + 1, own)
    )
    return [row, *below]
