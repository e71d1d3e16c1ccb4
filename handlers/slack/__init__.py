"""Slack's payloads and people: what comes in, unpacked once, and answers to one person."""
