"""How Grafana reads its provisioning files (Grafana, "Provision Grafana")."""

from typing import Any


def as_grafana_reads(value: Any) -> Any:
    """Return a value of a provisioning file as Grafana takes it; there must be nothing to expand."""
    if isinstance(value, str):
        parts = value.split("$$")
        assert not any("$" in part for part in parts), "Grafana would expand this"
        return "$".join(parts)
    if isinstance(value, dict):
        return {name: as_grafana_reads(each) for name, each in value.items()}
    if isinstance(value, list):
        return [as_grafana_reads(each) for each in value]
    return value
