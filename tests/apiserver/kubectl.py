"""kubectl as a function."""

from collections.abc import Callable

Kubectl = Callable[..., str]
"""Runs kubectl with arguments and an input and returns its output; fails the test on an error."""


class KubectlError(AssertionError):
    """kubectl failed; ``str()`` is what it said."""
