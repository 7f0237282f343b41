"""Training and sampling, in the process that holds a device: one loop for every family."""
