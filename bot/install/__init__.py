"""What it takes to install the bot: manifests, roles and accounts, each made from the settings."""
