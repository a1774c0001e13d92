"""From a credential to a principal and its run: API keys, service accounts, run credentials."""
