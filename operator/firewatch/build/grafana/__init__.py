"""Grafana: its settings, its data sources, and the workload."""
