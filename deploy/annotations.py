"""The marks by which this bot knows its own objects on a cluster."""

MANAGER = "gateway-bot"
"""The value of `app.kubernetes.io/managed-by`, and the field manager of its server-side applies."""
SPEC_ANNOTATION = "gateway-bot.io/spec"
ACTION_ANNOTATION = "gateway-bot.io/action"
REQUESTER_ANNOTATION = "gateway-bot.io/requested-by"
