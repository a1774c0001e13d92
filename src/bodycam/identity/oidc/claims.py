"""What a verified token's claims mean: the principal's name and groups, and whether a workload fits."""

from collections.abc import Mapping
from typing import Any

from bodycam.config.providers import Provider, ProviderKind, Workload
from bodycam.identity.oidc.failure import Reason, TokenRefused
from bodycam.model.identity import Principal, PrincipalKind

MAX_GROUPS = 1000
MAX_TEXT = 255


def claim_at(claims: Mapping[str, Any], path: str) -> Any:
    """The claim at a path, or None.

    The path is the claim's name, or names with dots between them where claims lie in each other. Names have
    dots too (`kubernetes.io`), so at each step the longest name that is there counts.
    """
    if path in claims:
        return claims[path]
    steps = path.split(".")
    for end in range(len(steps) - 1, 0, -1):
        inner = claims.get(".".join(steps[:end]))
        if isinstance(inner, Mapping):
            return claim_at(inner, ".".join(steps[end:]))
    return None


def principal_of(claims: Mapping[str, Any], provider: Provider) -> tuple[Principal, Workload | None]:
    """Who the claims name and, of a provider of workloads, which of those that are taken it is.

    Raises:
        TokenRefused: no name, one that can't be one, or no workload that fits.
    """
    subject = _subject(claims, provider)
    if provider.kind is ProviderKind.PEOPLE:
        groups = _groups(claims, provider)
        return Principal(provider.name, subject, PrincipalKind.HUMAN, groups), None
    workload = next((one for one in provider.workloads if fits(claims, one)), None)
    if workload is None:
        raise TokenRefused(Reason.NO_WORKLOAD, provider.name)
    groups = _groups(claims, provider) | frozenset(workload.groups)
    return Principal(provider.name, subject, PrincipalKind.SERVICE, groups), workload


def fits(claims: Mapping[str, Any], workload: Workload) -> bool:
    """Whether all that the settings ask of a workload is true of the claims."""
    return all(
        any(_like(one, wanted) for one in _texts(claim_at(claims, path)) for wanted in values)
        for path, values in workload.when.items()
    )


def _subject(claims: Mapping[str, Any], provider: Provider) -> str:
    if not _sound(claims.get("sub")):
        raise TokenRefused(Reason.NO_SUBJECT, provider.name)
    subject = claim_at(claims, provider.subject or "sub")
    if not _sound(subject):
        raise TokenRefused(Reason.NO_SUBJECT, provider.name)
    if provider.subject == "email" and claims.get("email_verified", True) is not True:
        # anybody can give anybody's address at a provider that has not asked whether it is theirs
        raise TokenRefused(Reason.CLAIMS, provider.name)
    return str(subject)


def _groups(claims: Mapping[str, Any], provider: Provider) -> frozenset[str]:
    found = None if provider.groups is None else claim_at(claims, provider.groups)
    if found is None:
        return frozenset()
    # one text is a list like that of scopes: names with blanks in them come as a list
    listed = found.split() if isinstance(found, str) else found
    if not isinstance(listed, list) or len(listed) > MAX_GROUPS or not all(map(_sound, listed)):
        raise TokenRefused(Reason.CLAIMS, provider.name)
    return frozenset(f"{provider.group_prefix}{one}" for one in listed)


def _sound(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_TEXT and value.isprintable()


def _texts(value: Any) -> list[str]:
    match value:
        case bool():
            return ["true" if value else "false"]
        case str():
            return [value]
        case int():
            return [str(value)]
        case list():
            return [text for one in value if not isinstance(one, list) for text in _texts(one)]
        case _:
            return []


def _like(text: str, wanted: str) -> bool:
    if "*" not in wanted:
        return text == wanted
    # each piece is looked for once, from left to right: nothing for a long text to make slow
    first, *middle, last = wanted.split("*")
    if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
        return False
    at, end = len(first), len(text) - len(last)
    for piece in middle:
        at = text.find(piece, at, end)
        if at < 0:
            return False
        at += len(piece)
    return True
