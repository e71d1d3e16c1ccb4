"""Slack's payloads and people: what arrives, unpacked once, and answers to one person."""
