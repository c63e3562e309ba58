"""Packs of alerting rules: one module for each subject, and what it takes for them to run."""
