"""Who wrote a field, as the API server has recorded it (pure)."""

from firewatch.api.resource import Object


def last_writer(live: Object, field: str) -> str:
    """Return the manager that owns a field of the spec, the latest if there are several.

    For the scale of a custom resource nothing is recorded (kubernetes#131892).
    """
    owners = [
        entry
        for entry in live["metadata"].get("managedFields", ())
        if f"f:{field}" in entry.get("fieldsV1", {}).get("f:spec", {})
    ]
    latest: Object = max(owners, key=lambda entry: str(entry.get("time", "")), default={})
    return str(latest.get("manager") or "somebody else")
