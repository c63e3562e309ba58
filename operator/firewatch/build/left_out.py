"""What a stack asks for and does not get, and why; everything else of it is built."""

from dataclasses import dataclass

from firewatch.build.objects import Stack
from firewatch.build.surroundings import Surroundings
from firewatch.build.usable import find_unusable


@dataclass(frozen=True)
class LeftOut:
    """Something that is left out, as the stack's condition Accepted says it."""

    reason: str
    message: str


def find_left_out(stack: Stack, surroundings: Surroundings) -> list[LeftOut]:
    """Return what is left out of a stack, the reason for most of it first."""
    found = []
    found += [LeftOut(*fault) for fault in find_unusable(stack, surroundings)]
    return found
