"""Malformed and odd requests over HTTP, plain and over TLS: `make fuzz-http`."""
