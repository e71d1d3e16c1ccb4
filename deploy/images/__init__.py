"""The gateway's image: what registries have of it, and which versions are supported."""
