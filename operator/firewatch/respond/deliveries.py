"""What becomes of the outbox and of the rows about deliveries (pure)."""

from collections.abc import Collection

from firewatch.api.notices import Delivery, DeliveryState, Notice, Notices

_LONGEST = 1024


def last_of(notices: Notices, action: int) -> Delivery | None:
    """Return how an action stands."""
    return next((row for row in notices.deliveries if row.action == action), None)


def after_delivery(
    notices: Notices, row: Delivery, *, notice: str, way: str, everywhere: Collection[str]
) -> Notices:
    """Return what is left once a message has been taken by one way.

    The action has told it when all of its ways have taken it, and it goes when all actions have.
    """
    outbox = [
        _taken(each, row.action, way, everywhere) if each.id == notice else each
        for each in notices.outbox
    ]
    left = [each for each in outbox if each.pending]
    return _with_row(notices.model_copy(update={"outbox": left}), row)


def without_gone_ways(notices: Notices, action: int, everywhere: Collection[str]) -> Notices:
    """Return the same without messages that all ways have taken which an action still has.

    The one that was waited for may be gone: a receiver may be changed at any time.
    """
    outbox = [_settled(each, action, everywhere) for each in notices.outbox]
    return notices.model_copy(update={"outbox": [each for each in outbox if each.pending]})


def _taken(notice: Notice, action: int, way: str, everywhere: Collection[str]) -> Notice:
    done = [*notice.done, *([way] if way not in notice.done else [])]
    return _settled(notice.model_copy(update={"done": done}), action, everywhere)


def _settled(notice: Notice, action: int, everywhere: Collection[str]) -> Notice:
    is_told = set(everywhere) <= set(notice.done)
    pending = [each for each in notice.pending if each != action or not is_told]
    return notice.model_copy(update={"pending": pending})


def after_failure(notices: Notices, action: int, *, to: str, problem: str) -> Notices:
    """Return the same with what went wrong; the last message that was taken stays known."""
    return _put(notices, action, to=to, state=DeliveryState.FAILING, message=problem)


def after_look(notices: Notices, action: int, *, to: str, problem: str) -> Notices:
    """Return the same after addresses were looked up; ``problem`` says why there is none.

    That a server did not take the last message is not mended by knowing its address.
    """
    row = _row_about(notices, action, to)
    if problem:
        state, message = DeliveryState.NO_ADDRESS, problem
    elif row is not None and row.state is not DeliveryState.NO_ADDRESS:
        state, message = row.state, row.message
    else:
        was_taken = row is not None and row.at is not None
        state, message = (DeliveryState.DELIVERED if was_taken else DeliveryState.READY), ""
    return _put(notices, action, to=to, state=state, message=message)


def give_up(notices: Notices, action: int, late: Collection[str]) -> Notices:
    """Return the same without messages that an action has tried to tell for too long."""
    outbox = [
        each.model_copy(update={"pending": [a for a in each.pending if a != action]})
        if each.id in late
        else each
        for each in notices.outbox
    ]
    left = [each for each in outbox if each.pending]
    update = {"outbox": left, "given_up": notices.given_up + len(outbox) - len(left)}
    return notices.model_copy(update=update)


def _put(notices: Notices, action: int, *, to: str, state: DeliveryState, message: str) -> Notices:
    row = _row_about(notices, action, to) or Delivery(action=action, to=to, state=state)
    update = {"state": state, "message": message[:_LONGEST]}
    return _with_row(notices, row.model_copy(update=update))


def _row_about(notices: Notices, action: int, to: str) -> Delivery | None:
    """Return how an action stands; None if what is known is about somebody else whom it told."""
    row = last_of(notices, action)
    return row if row is not None and row.to == to else None


def _with_row(notices: Notices, row: Delivery) -> Notices:
    others = [each for each in notices.deliveries if each.action != row.action]
    rows = sorted([*others, row], key=lambda each: each.action)
    return notices.model_copy(update={"deliveries": rows})
