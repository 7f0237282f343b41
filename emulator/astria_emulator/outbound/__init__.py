"""Requests that leave the server: callbacks and fetches, through one guarded door."""
