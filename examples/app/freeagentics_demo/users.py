"""Who uses the application, by the header ``X-User`` of requests: sessions that begin and end."""

import time
from collections.abc import Callable

from .metrics import Metrics

_IDLE_SECONDS = 10.0
"""A session has ended when its user has asked for nothing so long."""


class Users:
    """The sessions of users, counted in the runbook's families."""

    def __init__(self, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self._metrics = metrics
        self._clock = clock
        self._known: set[str] = set()
        self._sessions: dict[str, tuple[float, float]] = {}
        """Beginning and last request of each session that has not ended, by user."""
        metrics.active_users.set_function(self.active)

    def act(self, user: str, action: str) -> None:
        """Take in that a user has done something."""
        self._end_idle()
        if user not in self._known:
            self._known.add(user)
            self._metrics.new_users.inc()
        now = self._clock()
        begun, _ = self._sessions.get(user, (None, now))
        if begun is None:
            self._metrics.user_sessions.inc()
            begun = now
        self._sessions[user] = (begun, now)
        self._metrics.user_actions.labels(action).inc()

    def active(self) -> int:
        """Return how many users have a session."""
        self._end_idle()
        return len(self._sessions)

    def _end_idle(self) -> None:
        now = self._clock()
        for user, (begun, last) in [*self._sessions.items()]:
            if now - last > _IDLE_SECONDS:
                del self._sessions[user]
                self._metrics.session_seconds.observe(last - begun)
