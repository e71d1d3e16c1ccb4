"""Gateways: what one is, how it is rendered, checked, planned, approved, applied and watched."""
