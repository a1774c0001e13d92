"""Detectors from the settings: a name and a pattern of one's own."""

from collections.abc import Collection, Mapping

import re2

from bodycam.policy.detectors.rule import Rule


def rules(patterns: Mapping[str, str], secret: Collection[str] = ()) -> list[Rule]:
    """A rule for each pattern, which `config` has checked; its first group, if any, is what is masked.

    `secret` are the names of those that find keys and tokens.
    """
    return [
        Rule(
            name,
            pattern.encode(),
            (1, 0) if re2.compile(pattern.encode()).groups else (0,),
            secret=name in secret,
        )
        for name, pattern in patterns.items()
    ]
