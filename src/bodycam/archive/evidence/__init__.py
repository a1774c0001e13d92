"""Evidence bundles: one file with all that proves what happened in a run (`docs/evidence.md`)."""
