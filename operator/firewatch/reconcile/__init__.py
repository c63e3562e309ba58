"""Gather, build, apply, report: one short module per kind, on a loop that knows no kind."""
