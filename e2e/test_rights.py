"""The last test of the tier: nothing is granted that none of the others has used.

It runs only with all of them: see conftest.py.
"""

from e2e.audit import AuditLog
from e2e.installation import Testbed
from e2e.rights import EXCEPTIONS, granted_rights, judge, render, used_rights, write_report


def test_no_right_is_granted_that_nothing_has_used(
    testbed: Testbed, session_audit: AuditLog
) -> None:
    kubectl = testbed.kubectl
    roles = [*kubectl.list("clusterroles"), *kubectl.list("roles")]
    bindings = [*kubectl.list("clusterrolebindings"), *kubectl.list("rolebindings")]
    used = used_rights(session_audit.events())
    findings = judge(granted_rights(roles, bindings), used, EXCEPTIONS)
    write_report(findings)
    assert findings.is_clean, render(findings)
