"""From the bytes of a request to what its handler is given."""
