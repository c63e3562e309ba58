"""What all tests have in common."""

from hypothesis import settings

# A busy machine must not fail a test whose subject is not time.
settings.register_profile("firewatch", deadline=None)
settings.load_profile("firewatch")
