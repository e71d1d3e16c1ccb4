"""Pure functions from data to blocks and modals."""
