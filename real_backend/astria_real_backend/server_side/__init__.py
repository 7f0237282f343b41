"""What the server's process needs of training without loading torch: settings, bases, folders."""
