"""The dashboards that come with Firewatch, as code; ``make dashboards`` writes their JSON."""
