"""How many replicas (pure): always counted from the baseline, never from a previous step."""

from firewatch.api.recovery import RampDown
from firewatch.api.scale_up import ScaleUp


def floor_of(action: ScaleUp, baseline: int, ceiling: int | None = None, steps: int = 0) -> int:
    """Return the replicas that the action asks for after so many steps of its escalation.

    It stays within the action's maximum and the autoscaler's.
    """
    more = _more(action.by, baseline)
    if action.escalation:
        more += steps * _more(action.escalation.by, baseline)
    floor = min(baseline + more, action.max_replicas)
    return floor if ceiling is None else min(floor, ceiling)


def _more(by: int | str, baseline: int) -> int:
    if isinstance(by, int):
        return by
    return -(-baseline * int(by.removesuffix("%")) // 100)


def next_down(ramp: RampDown, *, baseline: int, peak: int, current: int, goal: int) -> int:
    """Return the replicas after the next step from ``current`` down to ``goal``.

    A step is a share of what was added at the peak, at least one replica.
    """
    percent = int(ramp.step.removesuffix("%"))
    step = max(1, -(-(peak - baseline) * percent // 100))
    return max(goal, current - step)
