"""Slack: payload in, Block Kit out. Parses, asks deploy/, shows. No rule of the business lives here."""
