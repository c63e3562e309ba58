"""Requests to the servers of a stack, in full or not at all."""

import ssl
from base64 import b64encode
from typing import Any

import aiohttp

_TIMEOUT = aiohttp.ClientTimeout(total=5, connect=2)


class NoAnswerError(Exception):
    """A server did not answer, or said too much; ``str()`` says why."""


class UntrustedError(NoAnswerError):
    """A server's certificate is refused; ``str()`` and ``code`` are OpenSSL's own verdict."""

    def __init__(self, verdict: ssl.SSLCertVerificationError) -> None:
        super().__init__(verdict.verify_message)
        self.code: int = verdict.verify_code


def basic_authorization(user: str, password: str) -> str:
    """Return the header Authorization of somebody with a name and a password."""
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


async def fetch(
    session: aiohttp.ClientSession, method: str, url: str, *, limit: int, **options: Any
) -> tuple[int, bytes]:
    """Return the status and the whole body of an answer, which holds at most ``limit`` bytes."""
    try:
        async with session.request(method, url, timeout=_TIMEOUT, **options) as response:
            return response.status, await _read(response, limit)
    except aiohttp.ClientConnectorCertificateError as error:
        verdict = error.certificate_error
        if isinstance(verdict, ssl.SSLCertVerificationError):
            raise UntrustedError(verdict) from error
        raise NoAnswerError(str(error)) from error
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise NoAnswerError(_words(error)) from error


def _words(error: Exception) -> str:
    """Return what went wrong; what is no HTTP is not repeated, as it may hold what was sent."""
    if isinstance(error, aiohttp.ClientResponseError | aiohttp.ClientPayloadError):
        return f"{type(error).__name__}: what it answers is not understood"
    return f"{type(error).__name__}: {error}".rstrip(": ")


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Return the whole body, if it is not too long; ``read(n)`` would end with the first chunk."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            raise NoAnswerError(f"the answer of {response.url.path} is too long")
    return bytes(body)
