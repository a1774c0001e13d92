"""The enforcement point: every protocol meets identity, policy and the record through these few verbs."""
