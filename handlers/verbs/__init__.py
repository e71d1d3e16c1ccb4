"""The verbs of `/gateway`, one file each, and the table of them."""
