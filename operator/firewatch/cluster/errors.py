"""What can go wrong between the operator and the API server."""

from collections.abc import Iterator
from contextlib import contextmanager


class ClusterError(Exception):
    """A request to the API server failed; ``str()`` is the server's own message."""

    def __init__(self, message: str, *, status: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class UnreachableError(ClusterError):
    """The API server did not answer, or answered that it cannot serve now: try again later."""


class NotFoundError(ClusterError):
    """The object, or the kind, is not there."""


class ConflictError(ClusterError):
    """Somebody else wrote first, or owns a field that was to be applied."""


class ForbiddenError(ClusterError):
    """The operator lacks the right, or an admission policy refuses the request."""


class InvalidError(ClusterError):
    """The object is not valid."""


class NotLeadingError(ClusterError):
    """This replica may not write, since it does not hold the Lease; nothing was sent."""


_BY_STATUS: dict[int, type[ClusterError]] = {
    401: ForbiddenError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: UnreachableError,
    400: InvalidError,
    422: InvalidError,
    429: UnreachableError,
}


_UNPROCESSABLE = 422
_OTHER_THAN_READ = (
    # All that the API server says of a JSON patch whose ``test`` found another value.
    "the server rejected our request due to an error in our request",
    # A merge patch with the uid of an object that has been made anew.
    "metadata.uid: Invalid value",
    # A finalizer for an object that has begun to be deleted.
    "no new finalizers can be added if the object is being deleted",
)


def error_of(status: int, message: str, reason: str) -> ClusterError:
    """Return the error for an answer of the API server."""
    if status == _UNPROCESSABLE and any(text in message for text in _OTHER_THAN_READ):
        text = "the object is not the one that was read, or has changed since"
        return ConflictError(text, status=status, reason=reason)
    kind = _BY_STATUS.get(status, UnreachableError if status >= 500 else ClusterError)  # noqa: PLR2004
    return kind(message, status=status, reason=reason)


@contextmanager
def absent_is_fine() -> Iterator[None]:
    """Ignore that an object which is to be removed is gone already."""
    try:
        yield
    except NotFoundError:
        return
