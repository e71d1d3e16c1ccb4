"""The versions of Kubernetes that gateways are deployed to."""

OLDEST, NEWEST = "1.32", "1.37"
"""As docs/install.md says: the oldest is the one that Microsoft's own chart is tested with, the newest
the one whose schemas and control plane the tests have."""
SCHEMAS = tuple(f"1.{minor}" for minor in range(25, 38))
"""Those of kubernetes-validate, oldest first."""
