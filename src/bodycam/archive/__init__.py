"""From journals to sealed recordings: format, ledger, key store, object store, index, verification."""
