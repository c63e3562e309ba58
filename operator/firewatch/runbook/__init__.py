"""The program ``firewatch``, also called ``kubectl-firewatch``: the runbook's procedures by hand."""

COMMANDS = (
    *("firewatch lint", "firewatch preflight", "firewatch release", "firewatch render"),
    *("firewatch dashboards", "firewatch response"),
)
"""Every command line that there is, without its options."""
