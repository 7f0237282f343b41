"""Turns the bytes of a request into the arguments of its handler."""
