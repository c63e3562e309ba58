"""The runner of user journeys, a program of its own in the operator's image: ``python -m firewatch.journeys``."""
