"""Which of the listed pages a path is (pure)."""

from collections.abc import Iterable

_REST = "*"


class Pages:
    """Pages by their patterns; of several that a path fits, the first."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = {pattern: _parts(pattern) for pattern in patterns}

    def find(self, path: str) -> str | None:
        """Return the pattern that a path fits; None if it fits none."""
        parts = _parts(path.partition("?")[0].partition("#")[0])
        fitting = (text for text, pattern in self._patterns.items() if _fits(parts, pattern))
        return next(fitting, None)


def _parts(path: str) -> list[str]:
    """Return the parts between slashes; one at the end makes no difference."""
    return path.strip("/").split("/")


def _fits(parts: list[str], pattern: list[str]) -> bool:
    if pattern[-1] == _REST:
        pattern = pattern[:-1]
        parts = parts[: len(pattern)]
    return len(parts) == len(pattern) and all(
        part == wanted or (wanted.startswith(":") and part)
        for part, wanted in zip(parts, pattern, strict=True)
    )
