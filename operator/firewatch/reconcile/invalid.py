"""What is wrong with a spec, in words (pure)."""

from pydantic import ValidationError


def explain_invalid(error: ValidationError) -> str:
    """Return the field that is wrong and why, and how many more there are."""
    faults = error.errors(include_url=False, include_input=False)
    first = faults[0]
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    message = first["msg"].removeprefix("Value error, ")
    return f"{_path(first['loc'])}: {message}{more}; correct it and apply the resource again"


def _path(location: tuple[int | str, ...]) -> str:
    """Return a location as people write it, for example ``spec.groups[0].name``."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return "spec" + "".join(steps)
