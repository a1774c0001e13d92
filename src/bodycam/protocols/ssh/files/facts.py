"""The facts of an operation on files: always all, because a rule that reads one which isn't there denies."""

from bodycam.model.operation import Fact

START_UNKNOWN = "where it begins is not known"
SPREAD = "a shell may make another path of it"
NO_TEXT = "it is no UTF-8"
EXPANDED = "the target makes a path of it"


def facts(
    via: str,
    account: str,
    action: str,
    path: str,
    *,
    to: str = "",
    mode: tuple[str, ...] = (),
    attributes: str = "",
    extension: str = "",
    unknown: str = "",
) -> dict[str, Fact]:
    """Those of one operation; `via` is sftp or scp, `unknown` why its path can't be told."""
    return {
        "ssh.kind": "sftp" if via == "sftp" else "exec",
        "ssh.account": account,
        "file.via": via,
        "file.action": action,
        "file.path": path,
        "file.to": to,
        "file.mode": mode,
        "file.attributes": attributes,
        "file.extension": extension,
        "file.unknown": unknown,
    }
