"""Two clients to read and to run: one that copes with bad days, and one that does not."""
