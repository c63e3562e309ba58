"""The action ``scaleUp``: more replicas while an alert fires."""

from pydantic import Field
from pydantic.config import JsonDict

from firewatch.api.resource import Duration, Model

_MORE: JsonDict = {
    "x-kubernetes-int-or-string": True,
    "maxLength": 5,
    "x-kubernetes-validations": [
        {
            "rule": "type(self) == int ? self >= 1 && self <= 1000"
            " : self.matches('^[1-9][0-9]{0,3}%$')",
            "message": "by is a number of replicas from 1 to 1000, or a percentage like 50%",
        }
    ],
}


class Escalation(Model):
    """Further steps, while the first was not enough."""

    by: int | str = Field(json_schema_extra=_MORE)
    """How many replicas more in each step: a number, or a percentage of the baseline, rounded up."""
    every: Duration = "2m"
    """How long after a step the next may follow, if the alert still fires and all replicas of the
    last step are ready.
    """
    max_steps: int = Field(default=3, ge=1, le=10)
    """How many further steps there may be."""


class ScaleUp(Model):
    """More replicas while the alert fires, counted from what the target had before."""

    by: int | str = Field(json_schema_extra=_MORE)
    """How many replicas more: a number, or a percentage of the baseline, rounded up (``50%``)."""
    max_replicas: int = Field(ge=1, le=1000)
    """Never more replicas than this."""
    escalation: Escalation | None = None
    """Further steps while the alert goes on firing; none if it is left out."""
