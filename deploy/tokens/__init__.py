"""Gateway tokens: their text, minting, rotation, keys, and Entra ID instead of them."""
