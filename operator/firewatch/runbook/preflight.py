"""``firewatch preflight``: what an AutoResponse would meet, before an alert fires at night."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from firewatch.api.resource import Object
from firewatch.api.responses import OPT_IN_LABEL, AutoResponseSpec
from firewatch.api.restart import RESTARTED_AT
from firewatch.cluster.client import Cluster
from firewatch.cluster.errors import ForbiddenError
from firewatch.cluster.find import find, find_all
from firewatch.cluster.kinds import (
    AUTOSCALER_KINDS,
    HORIZONTAL_POD_AUTOSCALER,
    NAMESPACE,
    POD_DISRUPTION_BUDGET,
    SCALED_OBJECT,
    Kind,
)
from firewatch.respond.autoscalers import MINIMUM_FIELD, find_autoscaler
from firewatch.respond.circuit.look import Subject
from firewatch.respond.gitops import Field, find_keeper, remedy
from firewatch.respond.managers import last_writer
from firewatch.respond.renewal import find_renewal
from firewatch.respond.scaling import floor_of
from firewatch.respond.situation import Autoscaler
from firewatch.respond.sizes import (
    KIND_NOT_GRANTED,
    NOT_SCALABLE,
    Size,
    granted_kind,
    read_scale,
    size_of,
)
from firewatch.runbook.breakers import examine_breaker
from firewatch.runbook.checking import Check, Grade
from firewatch.runbook.extra_kinds import gather_settings


@dataclass(frozen=True)
class Scene:
    """What was found in the cluster."""

    response: Object
    kind: Kind
    target: Object | None
    size: Size | None
    """None if the target is not there."""
    namespace: Object | None
    """None if it may not be read."""
    scaler: Autoscaler | str | None
    scaler_object: Object | None
    budgets: Sequence[Object] = ()
    """PodDisruptionBudgets of the namespace; only a restart has to do with them."""


async def examine(cluster: Cluster, response: Object) -> list[Check]:
    """Return what there is to say of a response, read with the user's own rights."""
    if not response["spec"].get("target"):
        return [*_onlooker_checks(response)]
    try:
        scene = await gather(cluster, response)
    except ForbiddenError as error:
        if error.reason not in (KIND_NOT_GRANTED, NOT_SCALABLE):
            raise
        return [*_accepted(response), Check("target", Grade.BAD, str(error))]
    return [*check(scene), *await _breaker(cluster, scene)]


async def _breaker(cluster: Cluster, scene: Scene) -> list[Check]:
    """Return what there is to say of a circuit breaker, if the response has one."""
    spec = AutoResponseSpec.model_validate(scene.response["spec"], extra="ignore")
    if spec.circuit_breaker is None or scene.target is None:
        return []
    scaler, metadata = scene.scaler, scene.target["metadata"]
    subject = Subject(
        namespace=metadata["namespace"],
        kind=scene.kind.kind,
        name=metadata["name"],
        live=scene.target,
        scaled_by=f"{scaler.kind} {scaler.name}" if isinstance(scaler, Autoscaler) else "",
        kept_by=str(find_keeper(scene.target) or ""),
    )
    return await examine_breaker(cluster, subject, spec.circuit_breaker, datetime.now(UTC))


def _onlooker_checks(response: Object) -> Iterator[Check]:
    """Yield what there is to say of one that changes nothing."""
    spec = AutoResponseSpec.model_validate(response["spec"], extra="ignore")
    yield from _accepted(response)
    yield Check("target", Grade.FINE, "none; it only tells people")
    if not spec.is_armed:
        yield Check("mode", Grade.LOOK, f"mode is {spec.mode}: nobody is told")


async def gather(cluster: Cluster, response: Object) -> Scene:
    """Read everything that a response on a target has to do with, with the user's own rights."""
    spec, namespace = response["spec"], response["metadata"]["namespace"]
    wanted, name = spec["target"].get("kind", "Deployment"), spec["target"]["name"]
    kind = granted_kind(await gather_settings(cluster), wanted)
    scalers = await cluster.list(HORIZONTAL_POD_AUTOSCALER, namespace)
    scaled_objects = await find_all(cluster, SCALED_OBJECT, namespace) or []
    found = find_autoscaler(kind, name, scalers, scaled_objects)
    scaler = next(
        (
            each
            for each in (*scalers, *scaled_objects)
            if isinstance(found, Autoscaler) and each["metadata"]["uid"] == found.uid
        ),
        None,
    )
    target = await find(cluster, kind, namespace, name)
    scale = await read_scale(cluster, kind, namespace, name)
    return Scene(
        response,
        kind,
        target,
        size_of(kind, target, scale) if target else None,
        await _namespace(cluster, namespace),
        found,
        scaler,
        await _budgets(cluster, response),
    )


async def _budgets(cluster: Cluster, response: Object) -> list[Object]:
    """Return the PodDisruptionBudgets, if they matter and may be read."""
    if not any("restart" in action for action in response["spec"]["actions"]):
        return []
    try:
        return await cluster.list(POD_DISRUPTION_BUDGET, response["metadata"]["namespace"])
    except ForbiddenError:
        return []


async def _namespace(cluster: Cluster, name: str) -> Object | None:
    try:
        return await find(cluster, NAMESPACE, "", name)
    except ForbiddenError:
        return None


def check(scene: Scene) -> list[Check]:
    """Return what there is to say (pure)."""
    return [*_checks(scene)]


def _checks(scene: Scene) -> Iterator[Check]:
    spec = AutoResponseSpec.model_validate(scene.response["spec"], extra="ignore")
    yield from _accepted(scene.response)
    if scene.target is None or scene.size is None:
        name = scene.response["spec"]["target"]["name"]
        yield Check("target", Grade.BAD, f"there is no {scene.kind.kind} {name} here")
        return
    yield _mode(spec, scene)
    if spec.restart is not None:
        yield from _restart(scene, scene.target, scene.size)
        return
    if spec.scale_up is None:
        return
    yield from _replicas(spec, scene.target, scene.size)
    yield _scaled_by(scene)
    yield from _kept(scene, scene.target)


def _accepted(response: Object) -> Iterator[Check]:
    conditions = response.get("status", {}).get("conditions") or []
    if not conditions:
        yield Check(
            "operator", Grade.BAD, "it has not looked at this AutoResponse yet; does it run?"
        )
    for each in conditions:
        grade = Grade.FINE if each["status"] == "True" else Grade.BAD
        yield Check(each["type"], grade, each.get("message", ""))


def _mode(spec: AutoResponseSpec, scene: Scene) -> Check:
    if not spec.is_armed:
        return Check("mode", Grade.LOOK, f"mode is {spec.mode}: it only says what it would do")
    for live in (scene.target, scene.namespace):
        value = ((live or {}).get("metadata", {}).get("labels") or {}).get(OPT_IN_LABEL)
        if value is not None:
            grade = Grade.FINE if value == "enabled" else Grade.BAD
            return Check("opt-in", grade, f"{OPT_IN_LABEL} is {value}")
    return Check(
        "opt-in", Grade.BAD, f"neither the target nor its namespace has {OPT_IN_LABEL}=enabled"
    )


def _restart(scene: Scene, target: Object, size: Size) -> Iterator[Check]:
    found = find_renewal(scene.kind, target, scene.budgets).obstacle
    if size.paused:
        yield Check("restart", Grade.BAD, "it is paused")
    elif size.replicas == 0:
        yield Check("restart", Grade.BAD, "it has 0 replicas: somebody parked it")
    elif found:
        yield Check("restart", Grade.BAD, found[1])
    else:
        yield Check("restart", Grade.FINE, f"its pod template gets the annotation {RESTARTED_AT}")
    keeper = find_keeper(target)
    if keeper is not None:
        message = (
            f"{keeper} keeps it; it leaves alone what is not in its source, unless it replaces"
        )
        yield Check(
            "GitOps", Grade.LOOK, f"{message} objects as a whole, which would renew pods again"
        )


def _replicas(spec: AutoResponseSpec, target: Object, size: Size) -> Iterator[Check]:
    replicas = size.replicas
    action = spec.scale_up
    assert action
    floor = floor_of(action, replicas)
    writer = last_writer(target, "replicas")
    if size.paused:
        yield Check("replicas", Grade.BAD, "it is paused")
    elif replicas == 0:
        yield Check("replicas", Grade.BAD, "it has 0 replicas: somebody parked it")
    elif floor <= replicas:
        yield Check(
            "replicas", Grade.BAD, f"it has {replicas}, and maxReplicas is {action.max_replicas}"
        )
    else:
        yield Check("replicas", Grade.FINE, f"{replicas} → {floor}, last written by {writer}")


def _scaled_by(scene: Scene) -> Check:
    if isinstance(scene.scaler, str):
        return Check("autoscaler", Grade.BAD, scene.scaler)
    if scene.scaler is None:
        return Check("autoscaler", Grade.FINE, "none; its own replicas are changed")
    found = scene.scaler
    who = f"{found.kind} {found.name}"
    if found.paused:
        return Check("autoscaler", Grade.BAD, f"{who} is paused")
    message = f"{who}; its {MINIMUM_FIELD[found.kind]} is raised from {found.minimum}, up to {found.maximum}"
    return Check("autoscaler", Grade.FINE, message)


def _kept(scene: Scene, target: Object) -> Iterator[Check]:
    """Yield who else keeps the field that would be changed."""
    metadata = scene.response["metadata"]
    if isinstance(scene.scaler, Autoscaler) and scene.scaler_object:
        live, found = scene.scaler_object, scene.scaler
        kind = next(each for each in AUTOSCALER_KINDS if each.kind == found.kind)
        path, is_set = f"/spec/{MINIMUM_FIELD[found.kind]}", found.is_set
    else:
        live, kind, path, is_set = target, scene.kind, "/spec/replicas", True
    keeper = find_keeper(live)
    if keeper is None:
        yield Check("GitOps", Grade.FINE, "no Argo CD, Flux or Helm is recognised on it")
        return
    field = Field(kind.group, kind.kind, metadata["namespace"], live["metadata"]["name"], path)
    grade = Grade.LOOK if is_set else Grade.FINE
    yield Check("GitOps", grade, f"{keeper} keeps it; {remedy(keeper, field)}")
