"""End-to-end tests and the cluster that they run on."""
