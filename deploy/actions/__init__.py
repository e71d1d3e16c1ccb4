"""Pending actions on Redis: states, scripts, store, runner."""
