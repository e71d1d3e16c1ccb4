"""What Prometheus reads at /metrics: counted as it happens, or read when it is asked for."""
