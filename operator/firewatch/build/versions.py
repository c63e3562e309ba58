"""Images that this release was tested with, used where a resource names none."""

PROMETHEUS = "prom/prometheus:v3.13.2"
NODE_EXPORTER = "prom/node-exporter:v1.12.1"
ALERTMANAGER = "prom/alertmanager:v0.34.2"
BLACKBOX_EXPORTER = "prom/blackbox-exporter:v0.28.0"
KUBE_STATE_METRICS = "registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.18.0"
PUSHGATEWAY = "prom/pushgateway:v1.11.1"
POSTGRES_EXPORTER = "quay.io/prometheuscommunity/postgres-exporter:v0.19.1"
