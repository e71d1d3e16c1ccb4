"""Whose approval a gateway's token takes: where it is, who governs it, who put it there."""
