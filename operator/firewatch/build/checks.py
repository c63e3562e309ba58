"""What is wrong with a rule besides its expression, before any server has seen it.

Prometheus loads all rules or none, so that everything it would refuse must be found here. The
verdict on an expression is the server's own; this module never looks into one.
"""

from collections.abc import Iterator, Sequence

from firewatch.api.alerts import PrometheusRule
from firewatch.build.escalations import LABEL, ORIGIN
from firewatch.build.rules import RESERVED_PREFIX, Group, Place
from firewatch.build.template_lexer import TemplateError
from firewatch.build.templates import calls_function, check_template

NOT_CONFINED = "NotConfined"

_NAME = "__name__"

_NO_QUERY = (
    "a policy of another namespace may not use query in templates, since that would read series of"
    " any namespace"
)

Fault = tuple[str, str]
"""Reason and message."""


def check_groups(groups: Sequence[Group], *, confined: bool = False) -> dict[Place, Fault]:
    """Return the rules that cannot go into a rule file, with reason and message.

    ``confined`` rules may not read series but by their expression.
    """
    faults: dict[Place, Fault] = {}
    seen: set[str] = set()
    for position, group in enumerate(groups):
        of_group = _group_fault(group, seen)
        seen.add(group.name)
        for index, rule in enumerate(group.rules):
            fault = of_group or _label_fault(group, rule)
            if fault := fault or next(_rule_faults(rule, confined=confined), None):
                faults[Place(position, index)] = fault
    return faults


def _group_fault(group: Group, seen: set[str]) -> Fault | None:
    if group.name.startswith(RESERVED_PREFIX) and not group.reserved:
        return (
            "ReservedGroupName",
            f"group names that begin with {RESERVED_PREFIX} belong to Firewatch; rename the group",
        )
    if group.name in seen:
        return "DuplicateGroup", f"the policy has another group named {group.name}; rename one"
    if _NAME in group.header.get("labels", {}):
        return "BadLabel", f"labels of the group: {_NAME} is not a label that can be set"
    return None


def _label_fault(group: Group, rule: PrometheusRule) -> Fault | None:
    """Return what is wrong with labels by which escalations are known; others could pose as one."""
    taken = {LABEL, ORIGIN} & {*rule.labels, *group.header.get("labels", {})}
    if taken and not group.reserved:
        return "BadLabel", f"labels: {min(taken)} belongs to Firewatch; rename it"
    return None


def _rule_faults(rule: PrometheusRule, *, confined: bool) -> Iterator[Fault]:
    if (rule.alert is None) == (rule.record is None):
        yield "BadRule", "set exactly one of alert and record"
    if rule.record is not None and (rule.for_ or rule.keep_firing_for or rule.annotations):
        yield "BadRule", "a recording rule has no for, keep_firing_for or annotations"
    if _NAME in rule.labels:
        yield "BadLabel", f"labels: {_NAME} is not a label that can be set"
    if rule.alert is not None:
        yield from _template_faults(rule, confined=confined)


def _template_faults(rule: PrometheusRule, *, confined: bool) -> Iterator[Fault]:
    for kind, texts in (("label", rule.labels), ("annotation", rule.annotations)):
        for name, text in texts.items():
            try:
                check_template(text, alert=rule.alert or "")
            except TemplateError as error:
                yield "BadTemplate", f"{kind} {name}: {error}"
            else:
                if confined and calls_function(text, "query"):
                    yield NOT_CONFINED, f"{kind} {name}: {_NO_QUERY}"
