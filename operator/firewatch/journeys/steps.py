"""A step of a journey: the request that is sent, and the answer."""

import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from firewatch.api.blackbox import ProbeTls
from firewatch.api.journeys import Journey, JourneyStep
from firewatch.api.placeholders import fill, fill_json
from firewatch.api.resource import SecretKeySelector, parse_duration
from firewatch.build.mounted_files import relative_path
from firewatch.journeys.answers import Answer, Reason, StepError

_BODY_LIMIT = 1024 * 1024
_REDIRECTS = 5

ReadSecret = Callable[[SecretKeySelector], str]
"""Returns what a key of a Secret holds; ``StepError`` if it is missing."""


def secrets_in(folder: Path) -> ReadSecret:
    """Return how mounted Secrets are read; each time anew, since kubelet brings changes."""

    def read(ref: SecretKeySelector) -> str:
        try:
            text = (folder / relative_path(ref)).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = f"key {ref.key} of Secret {ref.name} cannot be read: {type(error).__name__}"
            raise StepError(Reason.VARIABLE, why) from None
        # What editors and `kubectl create secret --from-file` leave at the end is not meant.
        return text.rstrip("\r\n")

    return read


Trust = ssl.SSLContext | bool
"""How certificates are checked; true stands for the usual way, which aiohttp prepares once."""


def trust(tls: ProbeTls | None, read: ReadSecret) -> Trust:
    """Return how the certificates of a journey's server are checked."""
    if tls is None:
        return True
    context = ssl.create_default_context()
    if tls.ca:
        authority = read(tls.ca)
        try:
            context = ssl.create_default_context(cadata=authority)
        except (ssl.SSLError, ValueError):
            why = f"key {tls.ca.key} of Secret {tls.ca.name} holds no certificate in PEM form"
            raise StepError(Reason.VARIABLE, why) from None
    if tls.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


async def send(
    session: aiohttp.ClientSession,
    journey: Journey,
    step: JourneyStep,
    values: Mapping[str, Any],
    context: Trust,
) -> Answer:
    """Send the request of a step; ``StepError`` if there is no answer in time."""
    tls = journey.tls_config
    path = fill(step.path, values, escape=lambda text: quote(text, safe=""))
    try:
        async with session.request(
            step.method.value,
            # Escaped already: yarl would take what a variable stands for apart again.
            URL(f"{journey.base_url}{path}", encoded=True),
            headers={name: fill(text, values) for name, text in step.headers.items()},
            allow_redirects=step.follow_redirects,
            max_redirects=_REDIRECTS,
            timeout=aiohttp.ClientTimeout(total=parse_duration(step.time_limit)),
            ssl=context,
            server_hostname=tls.server_name if tls else None,
            **_body(step, values),
        ) as response:
            return Answer(response.status, [*response.headers.items()], await _read(response))
    except TimeoutError:
        raise StepError(Reason.TIMEOUT, f"no answer within {step.time_limit}") from None
    except aiohttp.TooManyRedirects:
        raise StepError(Reason.STATUS, f"more than {_REDIRECTS} redirects") from None
    # A header with a line break is refused with ValueError, by which nothing is sent.
    except (aiohttp.ClientError, OSError, ValueError) as error:
        # Some repeat the address or what was answered, in which a secret may stand.
        raise StepError(Reason.CONNECTION, _words(error)) from None


def _body(step: JourneyStep, values: Mapping[str, Any]) -> dict[str, Any]:
    if step.json_body is not None:
        return {"json": fill_json(step.json_body, values)}
    if step.form_body is not None:
        return {"data": {name: fill(text, values) for name, text in step.form_body.items()}}
    if step.body is not None:
        return {"data": fill(step.body, values).encode()}
    return {}


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _BODY_LIMIT:
            raise StepError(Reason.BODY, f"the body is longer than {_BODY_LIMIT} bytes")
    return bytes(body)


def _words(error: Exception) -> str:
    """Return what hinders a connection, in words that hold nothing of the request."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        verdict = error.certificate_error
        if isinstance(verdict, ssl.SSLCertVerificationError):
            return f"the certificate is refused: {verdict.verify_message}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no connection to {error.host}:{error.port}: {error.os_error.strerror}"
    return type(error).__name__
