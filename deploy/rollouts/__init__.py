"""Carrying plans out: apply, follow, go back, delete."""
