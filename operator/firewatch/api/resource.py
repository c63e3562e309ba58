"""Conventions that every kind shares: identity, base model, scalar types, conditions.

Field docstrings of the kinds become CRD descriptions, ``kubectl explain`` output and
docs/api.md, so they are the manual.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

GROUP = "monitoring.freeagentics.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
CATEGORY = "firewatch"

Object = dict[str, Any]
"""A Kubernetes object as plain JSON data."""


class Model(BaseModel):
    """Base of everything in ``spec`` and ``status``: camelCase outside, unknown fields refused."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )


class PrometheusModel(Model):
    """Part of one of Prometheus' own formats, whose field names are snake_case."""

    model_config = ConfigDict(alias_generator=None)


class Status(BaseModel):
    """Base of ``status``: read back leniently, so that an older operator survives a newer status."""

    model_config = ConfigDict(
        extra="ignore",
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        use_attribute_docstrings=True,
    )


@dataclass(frozen=True, order=True)
class Key:
    """Something that the reconcile loop works on: a resource of ours, or a part of one."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


class Again(float):
    """Seconds after which a pass is to be taken once more, since it has not come to its end.

    As when somebody else's write came in between. That is no failure, and who waits for it waits on.
    """


@dataclass(frozen=True)
class Column:
    """A printer column of ``kubectl get``."""

    name: str
    json_path: str
    type: str = "string"
    priority: int = 0
    """0 is always shown, 1 only with ``-o wide``."""


@dataclass(frozen=True)
class Rule:
    """A CEL validation rule of the CRD, with the message a user sees."""

    rule: str
    message: str


@dataclass(frozen=True)
class CustomKind:
    """A kind of ours: everything the CRD says besides the schema."""

    kind: str
    plural: str
    singular: str
    short: str
    description: str
    spec: type[Model]
    status: type[Status]
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...] = ()
    """CEL rules on the whole resource, its metadata.name included."""

    @property
    def definition(self) -> str:
        """Return the name of its CustomResourceDefinition."""
        return f"{self.plural}.{GROUP}"


def rules(*entries: Rule) -> dict[str, Any]:
    """Return the ``json_schema_extra`` that puts CEL rules on a model or a field."""
    return {"x-kubernetes-validations": [{"rule": e.rule, "message": e.message} for e in entries]}


# Prometheus' own grammar (github.com/prometheus/common/model, durationRE), with as many digits as
# keep the sum below the 292 years at which Prometheus refuses a whole file.
DURATION_PATTERN = (
    r"^(([0-9]{1,2})y)?(([0-9]{1,3})w)?(([0-9]{1,4})d)?(([0-9]{1,5})h)?(([0-9]{1,7})m)?"
    r"(([0-9]{1,9})s)?(([0-9]{1,12})ms)?$"
)
_DURATION = re.compile(DURATION_PATTERN)
_UNIT_SECONDS = (365 * 86_400.0, 7 * 86_400.0, 86_400.0, 3600.0, 60.0, 1.0, 0.001)

Duration = Annotated[str, Field(pattern=DURATION_PATTERN, min_length=2, max_length=24)]
"""A Prometheus duration such as ``15s`` or ``1h30m``: units y w d h m s ms, in this order."""

Interval = Annotated[
    Duration,
    Field(json_schema_extra=rules(Rule("self.matches('[1-9]')", "it must be longer than 0"))),
]
"""A duration above 0, where Prometheus would take 0 for its own default."""

QUANTITY_PATTERN = r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$"


def _quantity_text(value: Any) -> Any:
    return str(value) if type(value) is int else value


Quantity = Annotated[
    str,
    Field(
        pattern=QUANTITY_PATTERN,
        max_length=32,
        json_schema_extra={"x-kubernetes-int-or-string": True, "minimum": 0},
    ),
    BeforeValidator(_quantity_text),
]
"""A Kubernetes quantity such as ``10Gi``, ``500m`` or the number 2."""

NAME_PATTERN = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
Name = Annotated[str, Field(pattern=NAME_PATTERN, min_length=1, max_length=253)]
"""The name of a Kubernetes object (DNS subdomain)."""

LABEL_NAME_PATTERN = r"^[a-zA-Z_][a-zA-Z0-9_]*$"
LabelName = Annotated[str, Field(pattern=LABEL_NAME_PATTERN, max_length=128)]
"""The name of a Prometheus label."""


def parse_duration(text: str) -> float:
    """Return a Prometheus duration in seconds; ``ValueError`` if it is not one."""
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        raise ValueError(f"{text!r} is not a duration such as 15s, 5m or 1h30m")
    amounts = match.groups()[1::2]
    return sum(
        int(amount) * unit
        for amount, unit in zip(amounts, _UNIT_SECONDS, strict=True)
        if amount is not None
    )


def format_duration(seconds: float) -> str:
    """Return seconds as a Prometheus duration such as ``5m40s``; days only where they are whole."""
    milliseconds = round(seconds * 1000)
    if milliseconds and milliseconds % 86_400_000 == 0:
        return f"{milliseconds // 86_400_000}d"
    found = ""
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        amount, milliseconds = divmod(milliseconds, size)
        found += f"{amount}{unit}" if amount else ""
    return found or "0s"


class ObjectRef(Model):
    """A reference to an object of the same namespace."""

    name: Name
    """Name of the object, in the namespace of this resource."""


SecretKey = Annotated[str, Field(pattern=r"^\.?[-_a-zA-Z0-9][-._a-zA-Z0-9]*$", max_length=253)]
"""A key of a Secret."""


class SecretKeySelector(Model):
    """A key of a Secret of the same namespace; its value is mounted, never copied or shown."""

    name: Name
    """Name of the Secret."""
    key: SecretKey
    """Key in the Secret."""


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Status):
    """One aspect of the state of a resource, in the form of Kubernetes' own conditions."""

    type: str = Field(max_length=64)
    """What the condition is about: Ready, Accepted, Applied, Loaded, …"""
    status: ConditionStatus
    """True, False, or Unknown while it cannot be told."""
    observed_generation: int | None = Field(default=None, ge=0)
    """The ``metadata.generation`` that this condition speaks of."""
    last_transition_time: str | None = Field(default=None, max_length=32)
    """When ``status`` last changed (RFC 3339, UTC)."""
    reason: str = Field(max_length=128)
    """One CamelCase word for programs."""
    message: str = Field(max_length=4096)
    """For people: what is the case and, if something is wrong, what to do next."""


Conditions = Annotated[
    list[Condition],
    Field(
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    ),
]
