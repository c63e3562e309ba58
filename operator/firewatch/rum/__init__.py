"""Real user monitoring, a program of its own in the operator's image: ``python -m firewatch.rum``."""
