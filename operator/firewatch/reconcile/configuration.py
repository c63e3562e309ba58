"""Whether a stack's Prometheus runs the configuration that was written for it, in effect."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from firewatch.api.conditions import Finding, bad, good, unknown
from firewatch.api.resource import Key
from firewatch.build import names
from firewatch.build.objects import Stack
from firewatch.build.scrape import config_revision, has_raw_scrapes
from firewatch.cluster.apply import apply
from firewatch.cluster.kinds import CONFIG_MAP, STATEFUL_SET
from firewatch.cluster.prometheus import CertificateError, PrometheusError
from firewatch.reconcile.children import Children
from firewatch.reconcile.complaint import ask_complaint
from firewatch.reconcile.context import Context
from firewatch.reconcile.findings import LOADED, NOTIFYING
from firewatch.reconcile.last_good import refused_parts, starts_in_vain, take_back
from firewatch.reconcile.rollout import is_outdated
from firewatch.reconcile.servers import Server, Servers

_REFUSED = "ReloadFailed"
_MOST_PARTS = 5
CHANGING = "CertificateChanging"
"""Reason while a pod does not show the certificate that is trusted, but may do so soon."""
_RELOADING = unknown(LOADED, "Reloading", "Prometheus has not confirmed this configuration yet")


async def confirm_configuration(
    context: Context, key: Key, *, made: Children, servers: Servers, confirmed: str
) -> Finding | None:
    """Return whether every ready server runs the configuration; None if there is none to run.

    ``confirmed`` is the hash of the one that they have confirmed last.
    """
    revision = made.revision
    if revision is None:
        return None
    if not servers.ready:
        return unknown(LOADED, "NoServer", "no Prometheus pod is ready yet")
    # What is wrong in further files is found out after the configuration is shown as the present one.
    is_open = revision != confirmed and has_raw_scrapes(made.configuration)
    behind = [each for each in servers.ready if not await _takes(each, revision, is_open=is_open)]
    annotation, now = names.CONFIG_ANNOTATION, context.clock()
    if not behind and is_open and context.glimpsed.get(key) != revision:
        context.glimpsed[key] = revision
        return _RELOADING
    if not behind:
        context.nudges.settle(servers.ready, annotation)
        return good(LOADED, "Loaded", "Prometheus confirms that it runs this configuration")
    await context.nudges.nudge(
        context.cluster, behind, annotation=annotation, revision=revision, now=now
    )
    # A pod that is about to be renewed may lack files that the configuration names.
    present = [each for each in behind if not _is_outdated(each, key.name, made)]
    first = (present or behind)[0]
    if key not in context.searching and context.nudges.patience_over(first, annotation, now):
        return await _explain_behind(first) if present else _explain_renewal(first)
    return await _explain_certificate(first) or _RELOADING


async def keep_last_good(
    context: Context,
    stack: Stack,
    made: Children,
    *,
    servers: Servers,
    loaded: Finding | None,
    confirmed: str,
) -> Finding | None:
    """Put the last good configuration back when Prometheus refuses the present one.

    Return what is to be said of the configuration then. ``confirmed`` is the hash of the one that
    Prometheus has confirmed last: what it has taken once is never to blame.
    """
    live, wanted = made.config_map, made.wanted
    if live is None or wanted is None or loaded is None:
        return loaded
    in_vain = not servers.ready and starts_in_vain(servers.pods)
    back = take_back(live, confirmed=confirmed) if in_vain or loaded.reason == _REFUSED else None
    if back is not None:
        desired = {**wanted, "data": back}
        live = (await apply(context.cluster, CONFIG_MAP, desired, known=live)).live
    parts = refused_parts(live)
    if parts is None:
        return loaded
    return _explain_refused(parts, await ask_complaint(context.cluster, stack, wanted, live))


def _explain_refused(parts: Sequence[str], complaint: str | None) -> Finding:
    """Return what is to be said of a refused configuration, with promtool's words if there are any."""
    new = ", ".join(parts[:_MOST_PARTS]) or "nothing but its order"
    why = f"promtool: {complaint}" if complaint else "kubectl logs of its pods has its own words"
    return bad(
        LOADED,
        _REFUSED,
        "Prometheus refuses this configuration and goes on with the last good one; correct what is"
        f" new in it: {new}; {why}",
    )


async def confirm_connection(stack: Stack, servers: Servers) -> list[Finding]:
    """Return that a ready server has not found its Alertmanager yet, if so.

    What fires meanwhile is dropped, and told only when Prometheus sends it again, a minute later.
    """
    if stack.spec.alerting is None:
        return []
    lost = [server for server in servers.ready if not await _is_connected(server)]
    if not lost:
        return []
    if lost[0].pod is None:
        address = names.alertmanager_url(stack.name, stack.namespace)
        message = f"the Prometheus at {lost[0].name} sends to no such Alertmanager; add {address} to its alertmanagers"
    else:
        message = f"pod {lost[0].name} has not found the Alertmanager yet; alerts that fire now are told later"
    return [unknown(NOTIFYING, "NotConnected", message)]


async def _is_connected(server: Server) -> bool:
    """Tell whether a server sends alerts to a pod of the stack's Alertmanager, if it answers."""
    try:
        addresses = await server.api.alertmanagers()
    except PrometheusError:
        return True  # that it does not answer is said elsewhere
    return any(urlsplit(each).port == names.ALERTMANAGER_PORT for each in addresses)


async def _takes(server: Server, revision: str, *, is_open: bool) -> bool:
    """Tell whether a server runs a configuration; if that is open, also by its last reload."""
    try:
        runs = config_revision(await server.api.configuration()) == revision
        return runs and (not is_open or await server.api.reload_succeeded())
    except PrometheusError:
        return False


def _is_outdated(server: Server, stack: str, made: Children) -> bool:
    name = names.prometheus_name(stack)
    return server.pod is not None and any(
        workload.live["metadata"]["name"] == name and is_outdated(server.pod, workload.live)
        for workload in made.workloads
        if workload.kind is STATEFUL_SET
    )


def _explain_renewal(server: Server) -> Finding:
    message = f"pod {server.name} is about to be renewed, and then takes this configuration"
    return unknown(LOADED, "Renewing", message)


async def _explain_certificate(server: Server) -> Finding | None:
    """Return that a server's certificate is refused, if so; a nudge may have its pod renew it."""
    if server.api.trust is None:
        return None
    try:
        await server.api.reload_succeeded()
    except CertificateError as error:
        return unknown(LOADED, CHANGING, f"pod {server.name} does not answer: {error}")
    except PrometheusError:
        return None  # that it does not answer at all is said when it has had its time
    return None


async def _explain_behind(server: Server) -> Finding:
    pod = server.name
    try:
        refused = not await server.api.reload_succeeded()
    except PrometheusError as error:
        return unknown(LOADED, "NoAnswer", f"pod {pod} does not answer: {error}")
    if refused:
        message = f"Prometheus refuses its configuration; see kubectl logs {pod}"
        return bad(LOADED, _REFUSED, message)
    return unknown(LOADED, "NotSeen", f"pod {pod} has not seen this configuration yet")
