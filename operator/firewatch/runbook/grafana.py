"""What the operator would give a stack's Grafana: data sources and dashboards."""

from collections.abc import Iterator
from itertools import chain

from firewatch.api.resource import Object
from firewatch.build.grafana.bundled import bundled_dashboards
from firewatch.build.grafana.dashboards import choose_dashboards
from firewatch.build.grafana.data_sources import build_data_sources, build_data_sources_secret
from firewatch.build.grafana.slots import build_providers, build_slot, plan_slots, without_room
from firewatch.build.grafana.sources import dashboard_sources, data_source_uids, is_marked
from firewatch.build.objects import Stack
from firewatch.build.packs.choose import choose_packs
from firewatch.build.surroundings import Surroundings
from firewatch.cluster.kinds import CONFIG_MAP
from firewatch.runbook.given import Given


def grafana_objects(
    stack: Stack, surroundings: Surroundings, files: Given, left_out: list[str]
) -> Iterator[Object]:
    """Yield what Grafana's pods mount, but for what is made up when it is made."""
    wanted = stack.spec.visualization
    if wanted is None:
        return
    yield build_data_sources_secret(stack, build_data_sources(stack, wanted, surroundings))
    marked = [
        item
        for (kind, namespace, _), item in files.objects.items()
        if kind == CONFIG_MAP.kind and namespace == stack.namespace and is_marked(item)
    ]
    bundled = bundled_dashboards(stack.spec, choose_packs(stack, surroundings))
    sources = chain(bundled, dashboard_sources(wanted, marked))
    chosen = choose_dashboards(sources, data_source_uids(stack, wanted))
    plan = plan_slots(chosen.dashboards, {})
    yield from (build_slot(stack, number, slot) for number, slot in plan.slots.items())
    yield build_providers(stack, plan.slots)
    left_out += [
        f"MonitoringStack {stack.name}: {each.source}: {each.message}"
        for each in (*chosen.left_out, *without_room(chosen.dashboards, plan))
    ]
