"""What Astria's documentation and recordings show as sent and answered, as facts with sources."""
