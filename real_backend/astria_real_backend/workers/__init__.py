"""Where training runs: the executor's interface, and child processes on this machine."""
