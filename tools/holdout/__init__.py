"""Bugs planted by somebody who had not read the contract suite, to see what it is worth."""
