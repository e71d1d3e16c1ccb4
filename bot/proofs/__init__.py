"""What `gateway-bot check` proves, one module a service: connections, and each right the settings imply."""
