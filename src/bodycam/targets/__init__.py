"""From a target's name to its address and its secret."""
