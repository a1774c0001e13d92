"""OpenID Connect: from a provider's signed token to a principal."""
