"""Injected faults: what goes wrong on request, and the rules that say when."""
