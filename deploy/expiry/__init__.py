"""When tokens expire: who is warned of it when, and which are rotated before that on their own."""
