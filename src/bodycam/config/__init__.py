"""The settings: one YAML file, read once into a frozen tree of types, with errors that name line and key."""

from bodycam.config.load import from_snapshot, load, parse, snapshot
from bodycam.config.problem import Problem, SettingsError
from bodycam.config.schema import schema
from bodycam.config.settings import Settings
from bodycam.config.starter import starter
from bodycam.config.versions import changes_needing_restart, policy_version, until_restart

__all__ = [
    "Problem",
    "Settings",
    "SettingsError",
    "changes_needing_restart",
    "from_snapshot",
    "load",
    "parse",
    "policy_version",
    "schema",
    "snapshot",
    "starter",
    "until_restart",
]
