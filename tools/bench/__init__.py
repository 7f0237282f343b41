"""Measurements of the emulator and of its peers; the figures of README come from here."""
