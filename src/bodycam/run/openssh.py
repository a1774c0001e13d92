"""The binding of OpenSSH's clients and of what starts them: git, rsync, scp, sftp, Ansible, Subversion.

OpenSSH reads the configuration of the user's home in the system's list of users, wherever HOME is, and has no
variable for another one. So programs named ssh, scp and sftp come first in PATH, and start the real ones with
the run's configuration. Clients with an SSH of their own (paramiko, asyncssh, Go's) get the agent.

What starts an ssh by a path of its own is told by git(1), rsync(1), autossh(1), Subversion's run-time
configuration and the page of Ansible's ssh connection.
"""

import os
import re
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

from bodycam.run.binding import Binding, Situation
from bodycam.run.failure import RunFailure
from bodycam.run.ssh_config import SshAccess, known_hosts, ssh_config

PROGRAMS = ("ssh", "slogin", "scp", "sftp")
_CONFIG, _KNOWN_HOSTS, _PROGRAMS = "ssh/config", "ssh/known_hosts", "bin"
_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._+@,=-]+")


def _make(situation: Situation) -> Mapping[str, str]:
    folder = situation.folder
    if not _PLAIN_PATH.fullmatch(str(folder.path)):
        # such a path would be quoted in five ways: by ssh in its configuration and not at all when it starts
        # itself for a jump, by sh, rsync and Ansible in theirs
        raise RunFailure(
            f"the run's folder {folder.path} has a character that SSH clients can't take in a path",
            hint="set TMPDIR to a path of letters, digits and . _ + @ , = -",
        )
    access = _access(situation)
    folder.write(_KNOWN_HOSTS, known_hosts(access))
    config = folder.write(_CONFIG, ssh_config(access))
    path = situation.environ.get("PATH") or os.defpath
    programs = _programs(situation, config, path)
    variables = {"SSH_AUTH_SOCK": str(access.files.agent)}
    if programs:
        variables["PATH"] = f"{folder.path / _PROGRAMS}{os.pathsep}{path}"
    if "ssh" in programs:
        command = f"{shlex.quote(programs['ssh'])} -F {config}"
        variables |= {
            "GIT_SSH_COMMAND": command,
            "RSYNC_RSH": command,
            "SVN_SSH": command,
            "AUTOSSH_PATH": str(folder.path / _PROGRAMS / "ssh"),
            "ANSIBLE_SSH_EXECUTABLE": programs["ssh"],
            "ANSIBLE_SSH_ARGS": f"-F {config}",
            "ANSIBLE_HOST_KEY_CHECKING": "True",
        }
    return variables


def _home(situation: Situation) -> Mapping[str, str]:
    access = _access(situation)
    return {".ssh/config": ssh_config(access), ".ssh/known_hosts": known_hosts(access)}


def _access(situation: Situation) -> SshAccess:
    assert situation.ssh is not None
    return SshAccess(
        situation.listener,
        situation.ssh_host_key,
        situation.targets,
        situation.ssh,
        str(situation.folder.path / _KNOWN_HOSTS),
    )


def _programs(situation: Situation, config: Path, path: str) -> dict[str, str]:
    """Write the programs that stand before the real ones; returns the paths of the real ones."""
    found: dict[str, str] = {}
    for name in PROGRAMS:
        real = shutil.which(name, path=path)
        if real is None:
            continue
        found[name] = str(Path(real).absolute())
        text = f'#!/bin/sh\nexec {shlex.quote(found[name])} -F {config} "$@"\n'
        program = situation.folder.write(f"{_PROGRAMS}/{name}", text, mode=0o700)
        if not os.access(program, os.X_OK):
            raise RunFailure(
                f"no program can be started from {situation.folder.path}: ssh would go round the gateway",
                hint="set TMPDIR to a folder on a file system that is not mounted noexec",
            )
    return found


BINDING = Binding(
    protocol="ssh",
    detours=(
        "SSH_AUTH_SOCK",
        "SSH_AGENT_PID",
        "SSH_AGENT_LAUNCHER",
        "GIT_SSH",
        "GIT_SSH_COMMAND",
        "GIT_SSH_VARIANT",
        "RSYNC_RSH",
        "SVN_SSH",
        "AUTOSSH_PATH",
        "ANSIBLE_SSH_EXECUTABLE",
        "ANSIBLE_SSH_ARGS",
        "ANSIBLE_SSH_COMMON_ARGS",
        "ANSIBLE_SSH_EXTRA_ARGS",
        "ANSIBLE_SCP_EXTRA_ARGS",
        "ANSIBLE_SFTP_EXTRA_ARGS",
        "ANSIBLE_HOST_KEY_CHECKING",
    ),
    make=_make,
    home=_home,
    chooses=False,
    carries=frozenset({"ssh", "sftp", "scp"}),
)
