"""Slack: payload in, Block Kit out. Parses, asks deploy/, shows. Decides nothing itself."""
