"""Advice on rules and names: whatever is found is a warning and never keeps a rule from running."""
