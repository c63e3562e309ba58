"""How many replicas (pure): always counted from the baseline, never from a previous step."""

from firewatch.api.responses import RampDown, ScaleUp


def floor_of(action: ScaleUp, baseline: int, ceiling: int | None = None) -> int:
    """Return the replicas that the action asks for, within its maximum and the autoscaler's."""
    if isinstance(action.by, int):
        more = action.by
    else:
        percent = int(action.by.removesuffix("%"))
        more = -(-baseline * percent // 100)
    floor = min(baseline + more, action.max_replicas)
    return floor if ceiling is None else min(floor, ceiling)


def next_down(ramp: RampDown, *, baseline: int, peak: int, current: int, goal: int) -> int:
    """Return the replicas after the next step from ``current`` down to ``goal``.

    A step is a share of what was added at the peak, at least one replica.
    """
    percent = int(ramp.step.removesuffix("%"))
    step = max(1, -(-(peak - baseline) * percent // 100))
    return max(goal, current - step)
