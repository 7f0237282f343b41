"""Stores rows, jobs and files: in memory, or in SQLite or PostgreSQL and a folder."""
