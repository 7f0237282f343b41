"""What a run leaves: the report as data, as lines, as a page, and compared with another one."""
