"""What is known of gateways: the cache, heartbeats with evidence, and incidents."""
