"""Kill a server under load, and look for what is lost or done twice: `make crash`."""
