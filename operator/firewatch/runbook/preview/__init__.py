"""Pictures of dashboards from what a Prometheus answers, where there is no Grafana at hand."""
