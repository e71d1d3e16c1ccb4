"""Plans and the buttons under them: asking for a change and deciding it."""
