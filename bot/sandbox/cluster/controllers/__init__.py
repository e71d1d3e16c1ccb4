"""The controllers of the control plane: each watches the store and writes back through the API
core."""
