"""Grafana of a stack: what is made up for it, its data sources, and whether its pods have them."""

import asyncio
import secrets
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from firewatch.api.conditions import Finding, bad, good, unknown
from firewatch.api.visualization import VisualizationStatus
from firewatch.build import names
from firewatch.build.grafana import files
from firewatch.build.grafana.data_sources import (
    REVISION,
    DataSources,
    build_data_sources_secret,
)
from firewatch.build.grafana.workload import settings_revision
from firewatch.build.objects import Stack
from firewatch.build.usable import describe
from firewatch.cluster.apply import apply, delete_ours
from firewatch.cluster.client import Cluster, Verb, Write
from firewatch.cluster.errors import ClusterError, ConflictError, UnreachableError
from firewatch.cluster.find import find
from firewatch.cluster.grafana import (
    CredentialsRefusedError,
    GrafanaError,
    ProvisioningRefusedError,
)
from firewatch.cluster.kinds import SECRET
from firewatch.reconcile.context import Context
from firewatch.reconcile.findings import GRAFANA_LOADED, not_applied
from firewatch.reconcile.grafana_pods import GrafanaPod, gather_grafana_pods
from firewatch.reconcile.stack_plan import Plan

_LOADED = "Loaded"
_PASSWORD_BYTES = 24
_MADE_UP = (files.ADMIN_PASSWORD, files.SECRET_KEY)
_PAUSES = (0.3, 0.7, 1.0)
"""Seconds between tries, while kubelet brings the file to the pod."""


async def keep_keys(cluster: Cluster, stack: Stack) -> None:
    """Make up a password and a key for Grafana, unless that has been done.

    The key encrypts what Grafana keeps in its database, and the volume outlives the stack: so the
    Secret has no owner, and is never written again.
    """
    name = names.grafana_keys_name(stack.name)
    if stack.spec.visualization is None or await find(cluster, SECRET, stack.namespace, name):
        return
    made = {key: secrets.token_urlsafe(_PASSWORD_BYTES) for key in _MADE_UP}
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": name,
            "namespace": stack.namespace,
            "labels": names.labels(stack.name, names.GRAFANA, names.VISUALIZATION),
        },
        "type": "Opaque",
        "data": {key: b64encode(text.encode()).decode() for key, text in made.items()},
    }
    try:
        await cluster.write(Write(Verb.CREATE, SECRET, stack.namespace, name, body))
    except ConflictError:
        return  # made in between


async def keep_data_sources(
    cluster: Cluster, stack: Stack, sources: DataSources | None, *, is_new: bool
) -> Finding | None:
    """Make the stack's Secret hold Grafana's data sources, if there are any; return why it cannot.

    ``is_new`` says that this form of the stack has not been reported on yet: the Secret may be one
    too many.
    """
    name = names.grafana_sources_name(stack.name)
    if sources is None:
        if is_new:
            await delete_ours(cluster, SECRET, stack.namespace, name)
        return None
    try:
        await apply(cluster, SECRET, build_data_sources_secret(stack, sources))
    except UnreachableError:
        raise
    except ClusterError as error:
        return not_applied(SECRET.kind, name, error)
    return None


@dataclass(frozen=True)
class GrafanaStanding:
    """How a stack's Grafana stands."""

    finding: Finding
    status: VisualizationStatus
    version: str = ""
    """The oldest that a pod says it has; empty if none says anything."""


async def gather_grafana(
    context: Context, plan: Plan, before: VisualizationStatus | None
) -> GrafanaStanding | None:
    """Have every pod take up its data sources; return how that stands, None if there is no Grafana."""
    stack, sources = plan.stack, plan.data_sources
    wanted = stack.spec.visualization
    if wanted is None or sources is None:
        return None
    ref = files.admin_password(stack.name, wanted)
    pods = await gather_grafana_pods(context, stack, plan.held.get(ref))
    settings = settings_revision(stack, wanted, plan.surroundings)
    if any(pod.settings != settings for pod in pods):
        message = "a Grafana pod is being renewed, since what it reads at its start has changed"
        finding = unknown(GRAFANA_LOADED, "Renewing", message)
    else:
        finding = await _confirm(context, sources, pods, password=describe(ref))
    confirmed = len(sources.names) if finding.reason == _LOADED else None
    status = VisualizationStatus(
        url=names.grafana_url(stack.name, stack.namespace),
        user=wanted.admin.user,
        password=describe(ref),
        data_sources=(before.data_sources if before else 0) if confirmed is None else confirmed,
    )
    return GrafanaStanding(finding, status, await _version(pods))


async def _confirm(
    context: Context, sources: DataSources, pods: Sequence[GrafanaPod], *, password: str
) -> Finding:
    """Return whether every ready pod has these data sources, and have it take them up."""
    if not pods:
        return unknown(GRAFANA_LOADED, "NoServer", "no Grafana pod is ready yet")
    try:
        for pause in (*_PAUSES, 0.0):
            behind = [pod for pod in pods if not await _has(pod, sources)]
            if not behind:
                context.nudges.settle(pods, names.CONFIG_ANNOTATION)
                message = "every Grafana pod confirms that it has these data sources"
                return good(GRAFANA_LOADED, _LOADED, message)
            await context.nudges.nudge(
                context.cluster,
                behind,
                annotation=names.CONFIG_ANNOTATION,
                revision=sources.revision,
                now=context.clock(),
            )
            for pod in behind:
                await pod.api.reload_data_sources()
            await asyncio.sleep(pause)
    except CredentialsRefusedError:
        message = (
            f"Grafana does not take the administrator's password in {password}; delete its pod, which"
            " sets it again, or put the present one into the Secret"
        )
        return bad(GRAFANA_LOADED, "CredentialsRefused", message)
    except ProvisioningRefusedError as error:
        message = f"Grafana refuses its data sources: {error}; correct visualization.dataSources"
        return bad(GRAFANA_LOADED, "DataSourcesRefused", message)
    except GrafanaError as error:
        return unknown(GRAFANA_LOADED, "NoAnswer", f"Grafana does not answer: {error}")
    message = "a Grafana pod has not taken up its data sources yet"
    return unknown(GRAFANA_LOADED, "Reloading", message)


async def _has(pod: GrafanaPod, wanted: DataSources) -> bool:
    """Tell whether a pod has these data sources, and no older ones under their names."""
    shown = {each.name: each.settings for each in await pod.api.data_sources()}
    return all(shown.get(name, {}).get(REVISION) == wanted.revision for name in wanted.names)


async def _version(pods: Sequence[GrafanaPod]) -> str:
    found = []
    for pod in pods:
        try:
            found.append(await pod.api.version())
        except GrafanaError:
            continue
    return min(filter(None, found), default="")
