"""What any server of this API owes its callers: HTTP only, nothing of the emulator is imported."""
