"""A Kubernetes API server in memory with the controllers that make Deployments run.

It answers as a 1.36 control plane does; the recordings under tests/data/kubernetes-1.36 hold it
to that. Pods are run by a kubelet of its own that speaks only the public API.
"""

from bot.sandbox.cluster.cluster import Cluster
from bot.sandbox.cluster.identity import Identity

__all__ = ["Cluster", "Identity"]
