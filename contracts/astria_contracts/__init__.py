"""Tests of any server of this API, over HTTP; nothing of the emulator is imported."""
