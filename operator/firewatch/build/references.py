"""Which Secrets, ConfigMaps and time zones settings refer to."""

from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import BaseModel

T = TypeVar("T", bound=BaseModel)


def find_parts(settings: Any, kind: type[T]) -> Iterator[T]:
    """Yield every part of a model that is of a kind, at any depth."""
    if isinstance(settings, kind):
        yield settings
    if isinstance(settings, BaseModel):
        for name in type(settings).model_fields:
            yield from find_parts(getattr(settings, name), kind)
    elif isinstance(settings, list):
        for item in settings:
            yield from find_parts(item, kind)
