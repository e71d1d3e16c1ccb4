"""What would fail after a plan is applied, found before: each finding names what the API would."""
