"""What an open circuit breaker forbids (pure): more of a namespace, its neighbours, and its own target.

Two services that call each other are never both cut off, and where traffic has been led elsewhere,
nobody judges what it does to a third by the same numbers.
"""

from collections.abc import Iterator

from firewatch.api.circuit_breaker import Mechanism
from firewatch.respond.circuit.plan import Plan
from firewatch.respond.situation import Responder, Situation

BREAKER_OPEN = "BreakerOpen"
"""Reason of whatever may not be begun while a circuit breaker is open."""


def obstacles_of_breakers(
    situation: Situation, responder: Responder, who: str
) -> Iterator[tuple[str, str]]:
    """Yield what stands in the way of a responder: reason, and message with the remedy."""
    for other in situation.responders:
        if other.breaker is None or other.uid == responder.uid:
            continue
        mechanism = other.breaker.mechanism
        # Elsewhere than at its replicas more of them do no harm, and may be what helps.
        if responder.scale_up is None or mechanism is Mechanism.SHED:
            message = (
                f"the circuit breaker of {who} is open (AutoResponse {other.name}); wait for it"
            )
            yield BREAKER_OPEN, message
    if responder.breaks:
        yield from _obstacles_to_open(situation, responder, who)


def _obstacles_to_open(
    situation: Situation, responder: Responder, who: str
) -> Iterator[tuple[str, str]]:
    wanted, target = responder.spec.circuit_breaker, situation.target
    assert wanted is not None
    assert target is not None
    related = [
        each.target
        for each in situation.breakers
        if each.target in wanted.depends_on or target.name in each.depends_on
    ]
    if related:
        message = (
            f"the circuit breaker of {related[0]} is open, on which {who} depends, or which depends on"
            " it; wait for that"
        )
        yield "DependencyOpen", message
    elif len(situation.breakers) >= situation.most_breakers:
        names = ", ".join(sorted(each.target for each in situation.breakers))
        message = (
            f"circuit breakers of this namespace are open for {names}, and"
            f" {situation.most_breakers} may be at the same time; wait for them, or raise the chart's"
            " rails.maxBreakers"
        )
        yield "TooManyOpen", message
    plan = responder.plan
    if isinstance(plan, Plan) and plan.mechanism is Mechanism.SHED and situation.ledger is not None:
        message = f"{who} is scaled up at present, and shed would take that for what was before; wait for it"
        yield "Scaled", message
