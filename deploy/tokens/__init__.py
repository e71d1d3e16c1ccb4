"""What a gateway token and a planned rotation are. Pure."""
