"""Every kind of change, from the request to the decision."""
