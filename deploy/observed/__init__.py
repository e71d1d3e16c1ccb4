"""Facts read off live objects: what is installed, its pods, progress, revisions and token."""
