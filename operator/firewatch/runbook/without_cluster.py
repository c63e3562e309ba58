"""What is the same of everything that stands for a cluster where there is none."""

from typing import Any

from firewatch.api.resource import Object


class WithoutCluster:
    """Finds nothing but by name, and is never written to."""

    async def list(self, *_arguments: Any, **_options: Any) -> list[Object]:
        """Return nothing: Secrets and ConfigMaps are found by name."""
        return []

    async def write(self, _write: Any) -> Object:
        """Refuse: there is no cluster."""
        raise NotImplementedError
