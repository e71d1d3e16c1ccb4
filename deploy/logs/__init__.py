"""Logs of gateways: lines, filters, and following several pods at once."""
