"""The facts of one command line, by which rules judge; docs/policy-facts.md lists them."""

from dataclasses import dataclass, fields

Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShellFacts:
    """What a command line asks a shell to do, as far as its text alone can tell.

    Words are as the shell hands them on: without their quotes. What an expansion gives is not known: it
    stands there as written, and `?` for what comes from elsewhere. Every list is distinct and in the order
    met, outer before inner, left before right.
    """

    programs: Names = ()
    programs_written: Names = ()
    argv: Names = ()
    reads: Names = ()
    writes: Names = ()
    deletes: Names = ()
    redirects: Names = ()
    pipes: Names = ()
    sudo: Names = ()
    interpreters: Names = ()
    functions: Names = ()
    variables: Names = ()
    assigns: Names = ()
    substitutions: bool = False
    background: bool = False
    unknown: Names = ()


FACTS: Names = tuple(one.name for one in fields(ShellFacts))
