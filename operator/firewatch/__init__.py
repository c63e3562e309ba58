"""Firewatch runs a monitoring runbook on Kubernetes: stacks, alerts and automated responses."""

__version__ = "0.1.0"
