"""Testing every receiver from time to time: what was sent, and who took it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from firewatch.api.alerting import SelfTestStatus, Verified
from firewatch.api.conditions import Finding, bad, format_time, good, parse_time, unknown
from firewatch.build.selftest import build_test_alerts
from firewatch.cluster.alertmanager import AlertmanagerError, Sent, Ways
from firewatch.reconcile.findings import RECEIVERS_VERIFIED
from firewatch.reconcile.tellers import Teller

_PATIENCE = timedelta(seconds=90)
"""A pod of a mesh lets the others go first for 15 s each, and Alertmanager tries again."""

_MOST = 100
"""Ways that the status has room for."""

Way = tuple[str, str]
"""Receiver and integration."""


@dataclass(frozen=True)
class _Run:
    started: datetime
    teller: Teller
    before: Ways


@dataclass
class SelfTests:
    """The test of a stack's receivers that is under way, if one is."""

    _run: _Run | None = field(default=None)

    @property
    def running(self) -> bool:
        """Tell whether a test is under way."""
        return self._run is not None

    async def step(
        self,
        status: SelfTestStatus,
        *,
        ways: Sequence[Way],
        tellers: Sequence[Teller],
        period: timedelta,
        now: datetime,
    ) -> SelfTestStatus:
        """Begin a test that is due, or look how one stands; return the new status."""
        ways = sorted(ways)[:_MOST]
        try:
            if self._run:
                return await self._look(self._run, status, ways, now)
            if tellers and ways and _is_due(status, ways, period, now):
                await self._begin(tellers[0], ways, now)
        except AlertmanagerError:
            self._run = None  # another pass tries again
        return status

    async def _begin(self, teller: Teller, ways: Sequence[Way], now: datetime) -> None:
        before = await teller.api.requests()
        receivers = sorted({receiver for receiver, _ in ways})
        ends_at = format_time(now + _PATIENCE)
        alerts = build_test_alerts(receivers, run=format_time(now), ends_at=ends_at)
        await teller.api.send(alerts)
        self._run = _Run(now, teller, before)

    async def _look(
        self, run: _Run, status: SelfTestStatus, ways: Sequence[Way], now: datetime
    ) -> SelfTestStatus:
        counts = await run.teller.api.requests()
        taken = {way for way in ways if _is_taken(run.before, counts, way)}
        if len(taken) < len(ways) and now - run.started < _PATIENCE:
            return status
        self._run = None
        known = {each.receiver: each.last_success for each in status.receivers}
        return SelfTestStatus(
            last_run=format_time(run.started),
            receivers=[
                Verified(
                    receiver="/".join(way),
                    verified=way in taken,
                    last_success=format_time(now) if way in taken else known.get("/".join(way)),
                )
                for way in ways
            ],
        )


def _is_due(status: SelfTestStatus, ways: Sequence[Way], period: timedelta, now: datetime) -> bool:
    """Tell whether it is time, or there is a receiver that has not been tested at all."""
    tested = {each.receiver for each in status.receivers}
    if status.last_run is None or not {"/".join(way) for way in ways} <= tested:
        return True
    return now - parse_time(status.last_run) >= period


def _is_taken(before: Ways, now: Ways, way: Way) -> bool:
    then, there = before.get(way, Sent()), now.get(way, Sent())
    return there.tried - then.tried > there.failed - then.failed


def verified(status: SelfTestStatus) -> Finding:
    """Return whether every receiver took the last test message."""
    if status.last_run is None:
        return unknown(RECEIVERS_VERIFIED, "NotTested", "the receivers have not been tested yet")
    refused = [each.receiver for each in status.receivers if not each.verified]
    if not refused:
        return good(RECEIVERS_VERIFIED, "Verified", "every receiver took the last test message")
    return bad(
        RECEIVERS_VERIFIED,
        "TestFailed",
        f"{', '.join(refused[:5])} did not take the test message; the log of the Alertmanager pod"
        " says why",
    )
