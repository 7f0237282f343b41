"""Astria's rules, as tables and pure functions that know no HTTP and no store."""
