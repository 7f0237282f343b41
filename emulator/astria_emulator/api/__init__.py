"""The contract's operations, served by Flask."""
