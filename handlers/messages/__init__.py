"""Messages that are kept true: of actions, warnings, incidents and live views."""
