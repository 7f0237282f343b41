"""What leaves: callbacks and fetches, through one guarded door."""
