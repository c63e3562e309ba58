"""A small stand-in for the FreeAgentics platform, to be monitored by the examples and the demo."""
