"""SAML 2.0 web single sign-on and single logout: from a provider's signed assertion to a principal."""
