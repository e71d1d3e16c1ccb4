"""What gateways write: lines, filters, and following several pods at once."""
