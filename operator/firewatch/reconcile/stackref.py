"""Which MonitoringStack a resource belongs to (pure)."""

from collections.abc import Collection

from firewatch.api.conditions import Finding, bad


def resolve_stack(wanted: str | None, stacks: Collection[str]) -> str | Finding:
    """Return the name of the stack, or what is wrong, given the stacks of the namespace."""
    if wanted is not None:
        if wanted in stacks:
            return wanted
        return bad(
            "Accepted",
            "StackNotFound",
            f"there is no MonitoringStack {wanted} in this namespace; create it or correct"
            " spec.stackRef.name",
        )
    if len(stacks) == 1:
        return next(iter(stacks))
    if not stacks:
        return bad(
            "Accepted",
            "NoStack",
            "there is no MonitoringStack in this namespace; create one",
        )
    return bad(
        "Accepted",
        "AmbiguousStack",
        f"this namespace has {len(stacks)} MonitoringStacks ({', '.join(sorted(stacks))});"
        " name one in spec.stackRef",
    )
