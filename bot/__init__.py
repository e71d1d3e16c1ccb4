"""The running process: command line, settings, wiring, background threads, health."""
