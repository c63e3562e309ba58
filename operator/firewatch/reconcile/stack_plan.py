"""What is to be made of a MonitoringStack, from its spec and all that has a say in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from firewatch.api.resource import Object
from firewatch.api.stack import MonitoringStackSpec, MonitoringStackStatus
from firewatch.build.grafana.data_sources import DataSources, build_data_sources
from firewatch.build.mounted_files import FileRef
from firewatch.build.objects import Stack
from firewatch.build.packs.choose import ChosenPack, choose_packs
from firewatch.build.retention import RetentionInForce
from firewatch.build.stack import build_shared, build_stack, named_files
from firewatch.build.surroundings import Surroundings
from firewatch.cluster.kinds import MONITORING_STACK, RETENTION_POLICY
from firewatch.reconcile.context import Context
from firewatch.reconcile.findings import read_status
from firewatch.reconcile.growing import gather_claims
from firewatch.reconcile.last_words import gather_last_words
from firewatch.reconcile.packs import running_packs
from firewatch.reconcile.raw_scrapes import gather_raw_scrapes
from firewatch.reconcile.retention_choice import choose_retention, policies_of
from firewatch.reconcile.secrets import HeldFile, copied, find_blanks, gather_files
from firewatch.reconcile.volumes import Volume, smallest_capacity, volumes_of
from firewatch.reconcile.web import find_no_certificates


def parse_stack(live: Object) -> Stack:
    """Return a live MonitoringStack as the builders need it."""
    metadata = live["metadata"]
    return Stack(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        spec=MonitoringStackSpec.model_validate(live.get("spec", {})),
    )


@dataclass(frozen=True)
class Plan:
    """What is to be made of a stack, and what that was decided by."""

    stack: Stack
    objects: Sequence[Object]
    claims: Sequence[Object]
    volumes: Sequence[Volume]
    surroundings: Surroundings
    files: frozenset[FileRef]
    """Keys of Secrets and ConfigMaps that the stack names."""
    packs: Sequence[ChosenPack]
    held: Mapping[FileRef, HeldFile] = field(repr=False)
    """What these keys hold."""
    data_sources: DataSources | None
    """What Grafana is given; None if there is no Grafana."""


async def make_plan(context: Context, stack: Stack, live: Object) -> Plan:
    """Gather what a stack depends on, and build its objects."""
    neighbours = await _neighbours(context, stack.namespace)
    claims = await gather_claims(context.cluster, stack)
    retention = await _gather_retention(context, stack, live, neighbours=neighbours, claims=claims)
    files = named_files(stack)
    held = await gather_files(context.cluster, stack.namespace, files)
    surroundings = Surroundings(
        receiver=context.settings.receiver,
        receiver_authority=context.receiver_authority(),
        retention=retention,
        cluster_namespaces=context.settings.cluster_stack_namespaces,
        missing=files - held.keys(),
        versions={ref: file.version for ref, file in held.items()},
        contents=copied(stack, held),
        no_certificates=find_no_certificates(stack, held),
        with_blanks=find_blanks(stack, held),
        running_packs=running_packs(read_status(MonitoringStackStatus, live)),
        raw_scrapes=await gather_raw_scrapes(context.cluster, stack),
        operator_namespace=context.settings.namespace,
        image=context.settings.image,
        node_last_words=await gather_last_words(context.cluster, stack),
    )
    shared = build_shared(_siblings(stack, neighbours))
    objects = [*shared, *build_stack(stack, surroundings)]
    packs = choose_packs(stack, surroundings)
    volumes = volumes_of(objects, claims)
    wanted = stack.spec.visualization
    sources = build_data_sources(stack, wanted, surroundings) if wanted else None
    return Plan(stack, objects, claims, volumes, surroundings, files, packs, held, sources)


async def _neighbours(context: Context, namespace: str) -> list[Object]:
    """Read the stacks of a namespace that are there to stay."""
    return [
        live
        for live in await context.cluster.list(MONITORING_STACK, namespace)
        if "deletionTimestamp" not in live["metadata"]
    ]


def _siblings(stack: Stack, neighbours: Sequence[Object]) -> list[Stack]:
    """Return all stacks of the namespace that can be read, since they share some objects."""
    found = [stack]
    for live in neighbours:
        if live["metadata"]["uid"] == stack.uid:
            continue
        try:
            found.append(parse_stack(live))
        except ValidationError:
            continue
    return found


async def _gather_retention(
    context: Context,
    stack: Stack,
    live: Object,
    *,
    neighbours: Sequence[Object],
    claims: Sequence[Object],
) -> RetentionInForce | None:
    """Return what the stack's Prometheus keeps; None if there is no Prometheus."""
    if stack.spec.metrics is None:
        return None
    names_of_stacks = [neighbour["metadata"]["name"] for neighbour in neighbours]
    policies = policies_of(
        stack.name,
        await context.cluster.list(RETENTION_POLICY, stack.namespace),
        names_of_stacks,
    )
    volume = smallest_capacity(stack, claims)
    before = read_status(MonitoringStackStatus, live).retention
    return choose_retention(stack.spec.metrics.retention, policies, before, volume=volume)
