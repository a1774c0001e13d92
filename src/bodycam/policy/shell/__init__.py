"""Facts of command lines, by the grammar of the shell; docs/policy-facts.md lists them."""
