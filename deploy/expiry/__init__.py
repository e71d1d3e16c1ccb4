"""When tokens expire: who is warned and when, and which are rotated automatically."""
