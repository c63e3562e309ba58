"""The kinds of this release."""

from firewatch.api.alerts import ALERT_POLICY
from firewatch.api.resource import CustomKind
from firewatch.api.responses import AUTO_RESPONSE
from firewatch.api.retention import RETENTION_POLICY
from firewatch.api.stack import MONITORING_STACK

CUSTOM_KINDS: tuple[CustomKind, ...] = (
    MONITORING_STACK,
    ALERT_POLICY,
    AUTO_RESPONSE,
    RETENTION_POLICY,
)
