"""Two example clients: one that copes with faults, and one that does not."""
