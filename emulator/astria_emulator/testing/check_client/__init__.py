"""Run a client through fault scenarios, and report what it did wrong."""
