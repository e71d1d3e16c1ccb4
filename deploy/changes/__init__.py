"""Every kind of change in one table, who may ask for it, and the decision on it."""
