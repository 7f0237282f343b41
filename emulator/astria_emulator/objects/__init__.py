"""Tunes, prompts and packs: how they are made, read, shown and removed."""
