"""JSON of the dashboards that come with Firewatch, written by ``make dashboards``."""
