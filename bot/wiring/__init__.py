"""From settings to the parts of a bot, concern by concern: each builder returns what others need."""
