"""Programs that run another one, which stands behind their own options."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bodycam.policy.shell.options import Options


@dataclass(frozen=True, slots=True)
class Wrapper:
    """How the other program is found.

    `operands` stand before it; with `assigns` there may be variables (`NAME=value`) before it. `user` are the
    options that say as whom it runs; `root` is that it runs as root without them. `reads_alone` is that a
    shell runs where nothing stands there.
    """

    options: Options
    operands: int = 0
    assigns: bool = False
    user: tuple[str, ...] = ()
    root: bool = False
    reads_alone: bool = False


WRAPPERS: Final[Mapping[str, Wrapper]] = {
    "sudo": Wrapper(
        Options(
            "ABbEHinPSsklKvVeC:D:g:p:R:r:T:t:U:u:c:a:",
            "askpass background bell preserve-env edit set-home login remove-timestamp reset-timestamp "
            "list no-update non-interactive preserve-groups stdin shell version validate close-from= chdir= "
            "group= host= prompt= chroot= role= command-timeout= type= other-user= user=",
        ),
        assigns=True,
        user=("u", "user"),
        root=True,
    ),
    "doas": Wrapper(Options("nsLC:u:a:"), user=("u",), root=True),
    "pkexec": Wrapper(
        Options("", "user= disable-internal-agent keep-cwd"), user=("user",), root=True, reads_alone=True
    ),
    "env": Wrapper(
        Options(
            "i0vu:C:S:a:",
            "ignore-environment null unset= chdir= split-string= block-signal default-signal ignore-signal "
            "list-signal-handling debug argv0=",
        ),
        assigns=True,
    ),
    "nohup": Wrapper(Options()),
    "setsid": Wrapper(Options("cfw", "ctty fork wait")),
    "time": Wrapper(Options("apvqf:o:", "append portability verbose quiet format= output=")),
    "timeout": Wrapper(
        Options("fvpk:s:", "foreground verbose preserve-status kill-after= signal="), operands=1
    ),
    "nice": Wrapper(Options("n:0123456789", "adjustment=")),
    "ionice": Wrapper(Options("tc:n:p:P:u:", "class= classdata= ignore pid= pgid= uid=")),
    "stdbuf": Wrapper(Options("i:o:e:", "input= output= error=")),
    "chrt": Wrapper(Options("abdfimoprRvT:P:D:"), operands=1),
    "taskset": Wrapper(Options("acp", "all-tasks cpu-list pid"), operands=1),
    "chroot": Wrapper(Options("", "userspec= groups= skip-chdir"), operands=1, reads_alone=True),
    "unshare": Wrapper(
        Options(
            "muinpUCTfrcR:w:S:G:",
            "mount uts ipc net pid user cgroup time fork map-root-user map-current-user kill-child "
            "mount-proc root= wd= setuid= setgid= propagation=",
        ),
        reads_alone=True,
    ),
    "nsenter": Wrapper(
        Options(
            "t:muinpUCTarwFS:G:",
            "target= mount uts ipc net pid user cgroup time all root wd no-fork setuid= setgid=",
        ),
        reads_alone=True,
    ),
    "strace": Wrapper(Options("cCdDfFhiqrtTvVwxyYzZka:b:e:E:I:o:O:p:P:s:S:u:U:X:")),
    "exec": Wrapper(Options("cla:")),
    "command": Wrapper(Options("pvV")),
    "builtin": Wrapper(Options()),
    "coproc": Wrapper(Options()),
    "busybox": Wrapper(Options()),
    "toybox": Wrapper(Options()),
}

UNREAD: Final = frozenset(
    [
        "parallel",
        "systemd-run",
        "at",
        "screen",
        "tmux",
        "start-stop-daemon",
        "daemonize",
        "firejail",
        "bwrap",
        "proot",
        "unbuffer",
        "rlwrap",
        "entr",
        "dbus-run-session",
        "cgexec",
        "ltrace",
        "perf",
        "valgrind",
        "setpriv",
        "prlimit",
        "capsh",
        "ssh-agent",
        "torsocks",
        "torify",
        "proxychains",
        "proxychains4",
        "xvfb-run",
        "faketime",
        "chpst",
        "softlimit",
        "crontab",
        "machinectl",
        "sg",
        "rsh",
        "rexec",
        "mosh",
        "plink",
        "distrobox",
        "toolbox",
        "eatmydata",
        "choom",
        "cpulimit",
        "dumb-init",
        "gosu",
        "numactl",
        "runcon",
        "sshpass",
        "su-exec",
        "tini",
    ]
)
"""Programs that run others in ways that are not read here, when they get any operand."""

UNREAD_ALONE: Final = frozenset(
    [
        "batch",
        "fakechroot",
        "fakeroot",
        "i386",
        "linux32",
        "linux64",
        "newgrp",
        "script",
        "setarch",
        "sftp-server",
        "uname26",
        "x86_64",
    ]
)
"""Those that without an operand do what they read, or run a shell that does."""

LOADER: Final = re.compile(r"ld(?:-linux|-musl|64)?[\w.-]*\.so(?:\.\d+)*")
"""The system's loader of programs, which runs the one that it is told."""

CONTAINERS: Final = frozenset(
    ["docker", "podman", "nerdctl", "kubectl", "oc", "lxc", "crictl", "ctr", "uv", "poetry", "pipenv"]
)
"""Programs that may run others somewhere else, by `exec` or `run`."""

INTERPRETERS: Final = frozenset(
    [
        "python",
        "pythonw",
        "pypy",
        "perl",
        "ruby",
        "node",
        "nodejs",
        "deno",
        "bun",
        "php",
        "lua",
        "luajit",
        "tclsh",
        "wish",
        "expect",
        "awk",
        "gawk",
        "mawk",
        "nawk",
        "osascript",
        "pwsh",
        "powershell",
        "Rscript",
        "R",
        "julia",
        "irb",
        "groovy",
        "scala",
        "guile",
        "racket",
        "sbcl",
        "ocaml",
        "erl",
        "elixir",
        "gdb",
        "csh",
        "tcsh",
        "fish",
        "elvish",
        "nu",
        "xonsh",
        "rc",
        "es",
    ]
)
"""Programs that run code of a language that is not read here."""

SHELLS: Final = frozenset(
    ["sh", "bash", "dash", "ash", "ksh", "ksh93", "mksh", "zsh", "rbash", "rksh", "yash", "posh"]
)

ARITHMETIC: Final = frozenset(
    [
        "test",
        "[",
        "printf",
        "read",
        "unset",
        "declare",
        "typeset",
        "export",
        "local",
        "readonly",
        "let",
        "wait",
        "getopts",
        "mapfile",
        "readarray",
    ]
)
"""Builtins to which `a[$(...)]` in a text is code: https://www.gnu.org/software/bash/manual/html_node/Arrays.html"""

SETS: Final = frozenset(
    ["declare", "typeset", "export", "local", "readonly", "read", "getopts", "mapfile", "readarray"]
)
"""Builtins that set the variables named in their operands."""

RESERVED: Final = frozenset(
    [
        "!",
        "{",
        "}",
        "[[",
        "]]",
        "case",
        "do",
        "done",
        "elif",
        "else",
        "esac",
        "fi",
        "for",
        "function",
        "if",
        "in",
        "select",
        "then",
        "until",
        "while",
    ]
)
"""Words that are no programs where they stand bare: the tree should have seen to them."""

CHANGES_READING: Final = frozenset(
    [
        "IFS",
        "ENV",
        "BASH_ENV",
        "PS4",
        "PROMPT_COMMAND",
        "SHELLOPTS",
        "BASHOPTS",
        "LD_PRELOAD",
        "LD_AUDIT",
        "LD_LIBRARY_PATH",
    ]
)
"""Variables that change what shells make of a text, or run more than it says."""


def changes_reading(name: str) -> bool:
    """Whether a variable of this name does so, or is a function that takes a program's name."""
    return name in CHANGES_READING or name.startswith("BASH_FUNC_")
