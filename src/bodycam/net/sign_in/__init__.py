"""How a person at a terminal signs in at an identity provider, and stays signed in."""
