"""Makes the planted bugs importable from the folders of these tests."""
