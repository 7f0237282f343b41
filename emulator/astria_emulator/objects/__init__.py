"""Tunes, prompts and packs: how they are created, read, presented and removed."""
