"""Play a client through bad days, and tell what it did wrong."""
