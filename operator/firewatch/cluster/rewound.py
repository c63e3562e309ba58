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

    If that cannot be found out, the watch will meet the reason itself.
    """
    wanted = watch.url.query.get(VERSION, "")
    if not wanted.isdecimal():
        return False
    try:
        async with session.get(watch.url.with_query({"limit": "1"}), timeout=_TIMEOUT) as answer:
            if answer.status != HTTPStatus.OK:
                return False
            listed = await answer.json()
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False
    return int(listed["metadata"][VERSION]) < int(wanted)
