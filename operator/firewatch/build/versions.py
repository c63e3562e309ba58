"""Images that this release was tested with, used where a resource names none."""

PROMETHEUS = "prom/prometheus:v3.13.2"
NODE_EXPORTER = "prom/node-exporter:v1.12.1"
ALERTMANAGER = "prom/alertmanager:v0.34.2"
