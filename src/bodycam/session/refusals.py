"""What admission says to those it refuses, each in one place: what happened, and what to do."""

from collections.abc import Sequence
from dataclasses import replace

from bodycam.model.hosts import MOST_CHARACTERS, BadHost, host_port, together
from bodycam.model.identity import Principal
from bodycam.model.target import Dial, Target
from bodycam.session.grant import Grant, Refusal, RefusalCode, Wanted

_SHOWN = 20


def bad_credential() -> Refusal:
    """Said alike to all who are not known, whatever the reason."""
    return Refusal(
        RefusalCode.BAD_CREDENTIAL,
        "the run credential is not valid",
        "Start the command with `bodycam run`, which gives it a fresh credential. With a token of an "
        "identity provider as the password, the user name is token, or token/AGENT; by SSH it is TARGET, or "
        "AGENT/TARGET.",
    )


def bad_certificate(why: str) -> Refusal:
    """A client certificate that proves nothing; who shows one is not asked for a password instead."""
    return Refusal(
        RefusalCode.BAD_CERTIFICATE,
        why,
        "`bodycam run` gives a fresh one and keeps it so; or connect without it (sslcertmode=disable).",
    )


def bad_ssh_certificate(why: str) -> Refusal:
    """An SSH certificate that proves nothing."""
    return Refusal(
        RefusalCode.BAD_CERTIFICATE,
        why,
        "`bodycam run` gives a fresh one and keeps it so; or log in with the run's password.",
    )


def insecure() -> Refusal:
    """The credential, or what follows it, would cross the network in the clear."""
    return Refusal(
        RefusalCode.INSECURE,
        "this gateway takes logins from other machines over TLS only",
        "Connect with TLS, for example sslmode=verify-full.",
    )


def insecure_token() -> Refusal:
    """A provider's token is good for more than this gateway, so that not even this machine may listen in."""
    return Refusal(
        RefusalCode.INSECURE,
        "an identity provider's token is taken over TLS only",
        "Connect with TLS, for example sslmode=verify-full; the settings have it under tls.enabled.",
    )


def bad_token(why: str, hint: str, *, away: bool) -> Refusal:
    """A token that proves nobody; that its provider is away is no fault of its owner."""
    return Refusal(RefusalCode.UNAVAILABLE if away else RefusalCode.BAD_CREDENTIAL, why, hint)


def no_agent(principal: Principal) -> Refusal:
    """A person's token says who they are, not who is to act for them."""
    return Refusal(
        RefusalCode.BAD_CREDENTIAL,
        f"{principal} must say which agent is acting",
        "Name it in the user name: token/AGENT, or by SSH AGENT/TARGET.",
    )


def may_not_start(principal: Principal, agent: str) -> Refusal:
    """The settings don't let them."""
    return Refusal(
        RefusalCode.NOT_ALLOWED,
        f"{principal} may not start agent {agent!r}",
        "The settings say who may: agents.<name>.may_start, identity.providers[].workloads[].agent.",
    )


def too_many_logins() -> Refusal:
    """The table of logins is full."""
    return Refusal(
        RefusalCode.LIMIT,
        "too many logins are under way at this gateway",
        "Try again in a moment; limits.pending_logins sets the bound.",
    )


def too_late() -> Refusal:
    """The login's name is not known any more."""
    return Refusal(
        RefusalCode.BAD_CREDENTIAL,
        "the login took too long or was answered twice",
        "Connect again; limits.login_timeout sets the time.",
    )


def run_ended(grant: Grant) -> Refusal:
    """The run is over, whoever ended it."""
    return Refusal(
        RefusalCode.RUN_ENDED,
        f"run {grant.run.id} has ended, expired or been revoked",
        "Start a new one with `bodycam run`; whoever logs in with a token takes a new token.",
        grant,
    )


def unknown_target(grant: Grant, wanted: Wanted, openable: Sequence[str]) -> Refusal:
    """There is no such target for this protocol."""
    return Refusal(
        RefusalCode.UNKNOWN_TARGET,
        f'there is no {wanted.protocol} target named "{wanted.target}"',
        _choices(openable),
        grant,
    )


def unknown_host(grant: Grant, wanted: Wanted, fault: str, openable: Sequence[str]) -> Refusal:
    """No target stands for the host that a client wants to reach, or its name is not taken so written."""
    if fault:
        return Refusal(
            RefusalCode.UNKNOWN_TARGET, f"that host can't be reached: {fault}", _choices(openable), grant
        )
    return Refusal(
        RefusalCode.UNKNOWN_TARGET,
        f"{grant.target.name} is not among the hosts that may be reached through this gateway",
        "For the gateway's operator: name it in the `hosts` of a target of protocol "
        f"{wanted.protocol}, and grant that target under `access`. {_choices(openable)}",
        grant,
    )


def no_host(grant: Grant) -> Refusal:
    """The target is a set of hosts, and the client names the set."""
    return Refusal(
        RefusalCode.UNKNOWN_TARGET,
        f'target "{grant.target.name}" is a set of hosts, and none of them is named',
        "Ask for one of its hosts, with this gateway as the proxy.",
        grant,
    )


def not_allowed(grant: Grant, openable: Sequence[str]) -> Refusal:
    """Access does not grant it."""
    return Refusal(
        RefusalCode.NOT_ALLOWED,
        f'agent {grant.run.agent}, started by {grant.run.principal}, may not open "{grant.target.name}"',
        _choices(openable),
        grant,
    )


def unknown_account(grant: Grant, accounts: Sequence[str]) -> Refusal:
    """The settings name no such account of the target; who may open it may know which there are."""
    shown = ascii(grant.database[:MOST_CHARACTERS])
    more = ", ..." if len(accounts) > _SHOWN else ""
    return Refusal(
        RefusalCode.NOT_ALLOWED,
        f'account {shown} is none that target "{grant.target.name}" may be opened as',
        f"Choose one of: {', '.join(accounts[:_SHOWN])}{more}. For the gateway's operator: the settings have "
        f"them under targets.{grant.target.name}.user and users.",
        grant,
    )


def too_many_sessions(grant: Grant) -> Refusal:
    """The run has as many sessions open as it may."""
    return Refusal(
        RefusalCode.LIMIT,
        f"run {grant.run.id} has {grant.limits.connections} sessions open, which is its limit",
        "Close connections that are not needed, or raise limits.connections_per_run.",
        grant,
    )


def store_full() -> Refusal:
    """No new session may add to the recordings; nor does the refusal, which names no grant to record."""
    return Refusal(
        RefusalCode.STORE_FULL,
        "the gateway's recordings take all the space that they may, so that no new session can be recorded",
        "Try again later. For the gateway's operator: raise storage.quota and reload, or let retention "
        "delete.",
    )


def target_unready(grant: Grant, error: Exception) -> Refusal:
    """The gateway lacks what it needs to log in to the target."""
    return Refusal(
        RefusalCode.UNAVAILABLE,
        str(error),
        "This is for the gateway's operator to put right; nothing was sent to the target.",
        grant,
    )


def undeclared(wanted: Wanted) -> Target:
    """What the record says of a target that is not declared: the client's own words, or the host it means."""
    if not wanted.host:
        return Target(wanted.target, wanted.protocol)
    try:
        name = together(*host_port(wanted.host))
    except BadHost:
        # no bytes that somebody's terminal would act on, and no more of them than a name may have
        name = ascii(wanted.host[:MOST_CHARACTERS])[:MOST_CHARACTERS]
    return Target(name, wanted.protocol)


def granted(grant: Grant, dial: Dial) -> Grant:
    """The grant with the way to the target."""
    return replace(grant, dial=dial)


def _choices(openable: Sequence[str]) -> str:
    if not openable:
        return "This run may open no target; the gateway's settings decide under `access`."
    more = ", ..." if len(openable) > _SHOWN else ""
    return f"This run may open: {', '.join(openable[:_SHOWN])}{more}."
