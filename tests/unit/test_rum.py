"""Real user monitoring: who may send, what is made of it, and that nothing a browser sends becomes a label."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from firewatch.api.real_users import RealUserMonitoring, RumLimits
from firewatch.rum.events import (
    BODY_LIMIT,
    Batch,
    Custom,
    Drop,
    Failure,
    Interaction,
    Origin,
    PageLoad,
    Reader,
    Vital,
    VitalMeasured,
)
from firewatch.rum.ingest import Ingest, Keys
from firewatch.rum.limits import Limiter
from firewatch.rum.metrics import Metrics
from firewatch.rum.pages import Pages

KEY = "public-key"
ORIGIN = "https://app.example"
WANTED = RealUserMonitoring.model_validate(
    {
        "apiKey": {"name": "rum", "key": "key"},
        "origins": [ORIGIN],
        "serviceNames": ["web"],
        "pages": ["/", "/agents/:id", "/docs/*"],
        "events": ["checkout"],
    }
)
HERE = Origin("web", "production", "/agents/:id")


# --- pages --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "page"),
    [
        ("/", "/"),
        ("", "/"),
        ("/agents/7", "/agents/:id"),
        ("/agents/7/", "/agents/:id"),
        ("/agents/7?tab=1#x", "/agents/:id"),
        ("/agents", None),
        ("/agents/", None),
        ("/agents/7/edit", None),
        ("/docs", "/docs/*"),
        ("/docs/a/b", "/docs/*"),
        ("/documents", None),
    ],
)
def test_which_page_a_path_is(path: str, page: str | None) -> None:
    assert Pages(WANTED.pages).find(path) == page


@given(st.text())
def test_any_path_is_a_listed_page_or_none(path: str) -> None:
    assert Pages(WANTED.pages).find(path) in {None, *WANTED.pages}


# --- limits -------------------------------------------------------------------------------------


def test_one_client_that_sends_too_much_takes_nothing_from_another() -> None:
    now = 0.0
    limits = RumLimits(client_per_minute=6, total_per_second=10)
    limiter = Limiter(limits, lambda: now)
    assert [limiter.allows("a") for _ in range(8)] == [True] * 6 + [False] * 2
    assert limiter.allows("b")
    now = 10.0  # one of six a minute has come back
    assert [limiter.allows("a") for _ in range(2)] == [True, False]


def test_all_clients_together() -> None:
    now = 0.0
    limiter = Limiter(RumLimits(total_per_second=3), lambda: now)
    assert [limiter.allows(f"c{n}") for n in range(5)] == [True] * 3 + [False] * 2
    now = 0.5
    assert [limiter.allows(f"c{n}") for n in range(3)] == [True, False, False]


def test_no_number_of_clients_fills_the_memory() -> None:
    limiter = Limiter(RumLimits(total_per_second=100_000), lambda: 0.0)
    for number in range(10_050):
        limiter.allows(str(number))
    assert len(limiter._clients) == 10_000


# --- events -------------------------------------------------------------------------------------


def read(*events: dict[str, Any], **fields: Any) -> list[Any]:
    found = [{"page": "/agents/7", **event} for event in events]
    identity = {"apiKey": KEY, "serviceName": "web", "environment": "production"}
    batch = Batch.model_validate_json(json.dumps({**identity, "events": found, **fields}))
    return [*Reader(WANTED, Pages(WANTED.pages)).read(batch)]


@pytest.mark.parametrize(
    ("event", "meaning"),
    [
        ({"name": "page_load", "duration": 1500}, PageLoad(HERE, 1.5)),
        ({"name": "page_load"}, Drop.VALUE),
        ({"name": "page_load", "duration": 0}, Drop.VALUE),
        # What the runbook's example computes: 0 minus the moment at which the page was asked for.
        ({"name": "page_load", "duration": -1_700_000_000_000}, Drop.VALUE),
        ({"name": "page_load", "duration": 1e9}, Drop.VALUE),
        (
            {"name": "web_vital", "metric": "LCP", "value": 2500},
            VitalMeasured(HERE, Vital.LCP, 2.5),
        ),
        ({"name": "web_vital", "metric": "CLS", "value": 0.1}, VitalMeasured(HERE, Vital.CLS, 0.1)),
        ({"name": "web_vital", "metric": "CLS", "value": 0}, VitalMeasured(HERE, Vital.CLS, 0)),
        ({"name": "web_vital", "metric": "CLS"}, Drop.VALUE),
        ({"name": "web_vital", "metric": "FID", "value": 1}, Drop.NAME),
        ({"name": "user_interaction", "target": "BUTTON"}, Interaction(HERE, "button")),
        ({"name": "user_interaction", "target": "MY-SECRET"}, Interaction(HERE, "other")),
        ({"name": "user_interaction"}, Interaction(HERE, "other")),
        ({"name": "error", "message": "password=x"}, Failure(HERE)),
        ({"name": "checkout", "duration": 120}, Custom(HERE, "checkout", 0.12)),
        ({"name": "checkout"}, Custom(HERE, "checkout", None)),
        ({"name": "checkout", "duration": -1}, Drop.VALUE),
        ({"name": "anything"}, Drop.NAME),
        (
            {"name": "page_load", "duration": 1, "page": "/users/alice"},
            PageLoad(Origin("web", "production", "other"), 0.001),
        ),
    ],
)
def test_what_an_event_means(event: dict[str, Any], meaning: Any) -> None:
    assert read(event) == [meaning]


def test_only_listed_services_and_environments() -> None:
    event = {"name": "error"}
    assert read(event, event, serviceName="other") == [Drop.SERVICE, Drop.SERVICE]
    assert read(event, environment="staging") == [Drop.ENVIRONMENT]


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["page_load", "web_vital", "user_interaction", "checkout"]) | _JSON,
        **dict.fromkeys(("page", "duration", "metric", "value", "target"), _JSON),
    },
)


@given(st.lists(_FIELDS, max_size=3), st.sampled_from(["web", "other"]) | st.text())
def test_no_text_of_a_browser_becomes_a_label(events: list[dict[str, Any]], service: str) -> None:
    metrics = Metrics()
    try:
        happenings = read(*events, serviceName=service)
    except ValueError:
        return  # which is answered with 400
    for happening in happenings:
        metrics.note(happening)
    ours = {*WANTED.pages, "other", "web", "production", "checkout"}
    for family in metrics.registry.collect():
        for sample in family.samples:
            for name in ("service", "environment", "page", "name"):
                assert sample.labels.get(name, "web") in ours
            assert sample.labels.get("target", "a").isalnum()


# --- who may send -------------------------------------------------------------------------------


@dataclass
class Page:
    """A page that sends, as a browser has it."""

    session: aiohttp.ClientSession
    metrics: Metrics
    key_file: Path
    clock: list[float] = field(default_factory=lambda: [0.0])

    async def send(
        self, body: Any = None, *, origin: str | None = ORIGIN, **headers: str
    ) -> tuple[int, dict[str, str]]:
        sent = {
            "apiKey": KEY,
            "serviceName": "web",
            "environment": "production",
            "events": [{"name": "page_load", "duration": 1500, "page": "/agents/7"}],
        }
        data = body if isinstance(body, bytes) else json.dumps({**sent, **(body or {})})
        found = {"Content-Type": "text/plain", **headers}
        if origin:
            found["Origin"] = origin
        async with self.session.post("/v1/events", data=data, headers=found) as response:
            return response.status, {**response.headers}

    def value(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    key_file, metrics, clock = tmp_path / "key", Metrics(), [0.0]
    key_file.write_text(f"{KEY}\n")
    keys = Keys(key_file, lambda: clock[0])
    ingest = Ingest(WANTED, keys, metrics, clock=lambda: clock[0])
    runner = web.AppRunner(ingest.application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with aiohttp.ClientSession(url) as session:
        yield Page(session, metrics, key_file, clock)
    await runner.cleanup()


async def test_what_is_taken_in_is_counted(page: Page) -> None:
    status, headers = await page.send()
    assert status == 204
    assert (headers["Access-Control-Allow-Origin"], headers["Vary"]) == (ORIGIN, "Origin")
    labels = {"service": "web", "environment": "production", "page": "/agents/:id"}
    assert page.value("rum_page_load_seconds_count", **labels) == 1
    assert page.value("rum_page_load_seconds_sum", **labels) == 1.5
    assert page.value("rum_requests_total", result="accepted") == 1


@pytest.mark.parametrize(
    ("sent", "status", "result"),
    [
        ({"origin": "https://evil.example"}, 403, "forbidden_origin"),
        ({"origin": f"{ORIGIN}.evil.example"}, 403, "forbidden_origin"),
        ({"origin": None}, 403, "forbidden_origin"),
        ({"body": {"apiKey": "wrong"}}, 401, "unauthenticated"),
        ({"body": {"apiKey": ""}}, 401, "unauthenticated"),
        ({"body": b"no json"}, 400, "malformed"),
        ({"body": b"[" * 50_000}, 400, "malformed"),
        ({"body": b"\xff\xfe"}, 400, "malformed"),
        ({"body": {"events": [{"name": "error"}] * 101}}, 400, "malformed"),
        ({"body": {"events": [{"name": "x" * 2000}]}}, 400, "malformed"),
        ({"body": {"events": [{"name": "page_load", "duration": float("nan")}]}}, 400, "malformed"),
        ({"body": b"x" * (BODY_LIMIT + 1)}, 413, "too_large"),
        ({"body": b"\x1f\x8b" + b"x" * 9, "Content-Encoding": "gzip"}, 400, "malformed"),
    ],
)
async def test_what_is_refused(page: Page, sent: dict[str, Any], status: int, result: str) -> None:
    found, headers = await page.send(sent.pop("body", None), **sent)
    assert found == status
    # A page that may send is told why; another not even that.
    assert ("Access-Control-Allow-Origin" in headers) == (result != "forbidden_origin")
    assert page.value("rum_requests_total", result=result) == 1
    assert page.value("rum_requests_total", result="accepted") == 0


async def test_a_client_that_sends_too_much(page: Page) -> None:
    for _ in range(WANTED.limits.client_per_minute):
        page.clock[0] += 0.0001
        await page.send(b"")
    assert (await page.send())[0] == 429
    # It writes itself who it is only behind a proxy that writes it anew.
    assert (await page.send(**{"X-Forwarded-For": "10.0.0.1"}))[0] == 429
    page.clock[0] += 60
    assert (await page.send())[0] == 204


async def test_keys_are_replaced_without_a_restart(page: Page) -> None:
    async def status(key: str) -> int:
        return (await page.send({"apiKey": key}))[0]

    assert [await status(KEY), await status("new")] == [204, 401]
    page.key_file.write_text(f"{KEY}\nnew\n\n")
    page.clock[0] += 11
    assert [await status(KEY), await status("new"), await status("")] == [204, 204, 401]
    page.key_file.unlink()
    page.clock[0] += 11
    assert await status("new") == 204, "what is known stays"
    page.key_file.write_text("newest")
    page.clock[0] += 11
    assert [await status("new"), await status("newest")] == [401, 204]


async def test_browsers_are_told_beforehand_that_they_may_send(page: Page) -> None:
    for origin, status in ((ORIGIN, 204), ("https://evil.example", 403)):
        async with page.session.options("/v1/events", headers={"Origin": origin}) as response:
            assert response.status == status
            allowed = response.headers.get("Access-Control-Allow-Methods")
            assert allowed == ("POST" if status == 204 else None)


async def test_the_script_is_served_to_every_page(page: Page) -> None:
    for name in ("rum.js", "web-vitals.js"):
        async with page.session.get(f"/{name}") as response:
            assert response.status == 200
            assert response.content_type == "text/javascript"
            assert response.headers["Access-Control-Allow-Origin"] == "*"
            assert "export" in await response.text()
    async with page.session.get("/../ingest.py") as response:
        assert response.status == 404


async def test_behind_a_proxy_clients_are_told_apart(tmp_path: Path) -> None:
    limits = RumLimits(client_per_minute=1)
    wanted = WANTED.model_copy(update={"behind_proxy": True, "limits": limits})
    (tmp_path / "key").write_text(KEY)
    ingest = Ingest(wanted, Keys(tmp_path / "key"), Metrics(), clock=lambda: 0.0)
    runner = web.AppRunner(ingest.application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with aiohttp.ClientSession(url) as session:
        found = Page(session, Metrics(), tmp_path)
        chains = ("1.1.1.1", "9.9.9.9, 1.1.1.1", "1.1.1.1, 2.2.2.2")
        sent = [(await found.send(**{"X-Forwarded-For": chain}))[0] for chain in chains]
    await runner.cleanup()
    assert sent == [204, 429, 204], "the last address is the one that the proxy has seen"
