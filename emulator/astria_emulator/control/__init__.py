"""Everything under /_emulator/: what a user can see and steer."""
