"""A Kubernetes cluster: its client, watches, and the Lease that fences writes."""
