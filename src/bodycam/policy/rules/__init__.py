"""Rules: conditions in CEL over what is known of an operation, and what follows where they hold."""
