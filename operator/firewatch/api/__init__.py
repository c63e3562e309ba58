"""What users write: one pydantic module per kind, and the conventions they share."""
