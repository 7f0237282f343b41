"""What is kept: rows, jobs and files, in memory or in SQLite, PostgreSQL and a folder."""
