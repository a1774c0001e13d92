"""What a statement does, told by the database's own grammar."""
