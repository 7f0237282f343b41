"""Benchmarks of the emulator and of similar servers: the source of all published figures."""
