"""The program ``firewatch``, also called ``kubectl-firewatch``: the runbook's procedures by hand."""

COMMANDS = ("firewatch lint", "firewatch release", "firewatch render")
"""Every command line that there is, without its options."""
