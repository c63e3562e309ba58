"""Something that was looked at before an alert fires, and how bad it is."""

from dataclasses import dataclass
from enum import StrEnum


class Grade(StrEnum):
    """How bad it is."""

    FINE = "ok"
    LOOK = "look"
    """It works, but somebody should know."""
    BAD = "bad"
    """The response would do nothing, or be undone."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    about: str
    grade: Grade
    message: str
