"""From a spec to Kubernetes objects. Pure."""
