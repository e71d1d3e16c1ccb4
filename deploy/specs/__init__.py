"""A gateway's spec: its fields, their values, and what fits together."""
