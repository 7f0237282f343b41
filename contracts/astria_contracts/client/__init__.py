"""Speaks to the server that is tested: requests, what every answer must satisfy, and callbacks."""
