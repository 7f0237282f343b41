"""Faults: what goes wrong when it is asked to, by rules that say when."""
