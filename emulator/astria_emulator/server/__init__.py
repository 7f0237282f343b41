"""The emulator on a port: HTTP, HTTPS, and what its commands share."""
