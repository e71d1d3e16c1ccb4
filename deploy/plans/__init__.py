"""What would change on the cluster, bound by a digest."""
