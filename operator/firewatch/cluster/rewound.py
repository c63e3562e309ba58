"""Whether the API server's store has been put back to an earlier state, as by a restored backup.

A restored etcd counts its versions from the copy on. A watch that goes on from a later one is not
refused: it hears nothing at all, not even that it is still there, until the count has passed that
version. So whoever takes up a watch again asks first.
"""

from http import HTTPStatus

import aiohttp

_TIMEOUT = aiohttp.ClientTimeout(total=30)
VERSION = "resourceVersion"


async def is_rewound(session: aiohttp.ClientSession, watch: aiohttp.ClientRequest) -> bool:
    """Tell whether the version that a watch is to go on from is one that the server has yet to reach.

    ``ClientConnectionError`` if that cannot be found out now: a server that is coming back might take
    the watch all the same.
    """
    wanted = watch.url.query.get(VERSION, "")
    if not wanted.isdecimal():
        return False
    try:
        async with session.get(watch.url.with_query({"limit": "1"}), timeout=_TIMEOUT) as answer:
            if _is_passing(answer.status):
                raise aiohttp.ClientConnectionError(f"HTTP {answer.status}")
            if answer.status != HTTPStatus.OK:
                return False  # the watch meets the same, and kopf knows what to do about it
            listed = await answer.json()
    except (aiohttp.ClientError, OSError) as error:
        message = f"the API server does not say which version it has: {error!r}"
        raise aiohttp.ClientConnectionError(message) from error
    return int(listed["metadata"][VERSION]) < int(wanted)


def _is_passing(status: int) -> bool:
    """Tell whether an answer may be another in a moment, as that of a server that is starting."""
    is_refused = status in (HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS)
    return is_refused or status >= HTTPStatus.INTERNAL_SERVER_ERROR
