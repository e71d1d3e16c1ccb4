"""A Slack, an Azure, a cluster, its node and a registry on one machine, for the demo and for tests."""
