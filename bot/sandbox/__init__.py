"""A Slack, an Azure, a cluster, its node and a registry on one machine: for demo and tests."""
