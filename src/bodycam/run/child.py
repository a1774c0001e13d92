"""One child process with its signals: started once, waited for, its end told as a shell would.

The child stays in our process group, so that a terminal's own signals (Ctrl-C, Ctrl-\\, a new window size,
Ctrl-Z) reach it directly; those that somebody sent to us alone are passed on. Which of the two it was is in
siginfo's si_code (sigaction(2)), which only sigwaitinfo tells.
"""

import errno
import os
import shutil
import signal
from collections.abc import Collection, Mapping, Sequence
from types import TracebackType
from typing import Self

from bodycam.run.failure import NOT_EXECUTABLE, NOT_FOUND, RunFailure

FORWARDED = frozenset(
    {
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGHUP,
        signal.SIGQUIT,
        signal.SIGWINCH,
        signal.SIGUSR1,
        signal.SIGUSR2,
    }
)
_STOPPING = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT}
_CAUGHT = FORWARDED | {signal.SIGCHLD}


class HeldSignals:
    """In this block signals wait until they are asked for, so that none ends us before the run is ended."""

    def __enter__(self) -> Self:
        # a parent that ignores SIGCHLD hands that on, and the child's status would be lost
        self._child_handler = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self.before = signal.pthread_sigmask(signal.SIG_BLOCK, _CAUGHT)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while signal.sigtimedwait(_CAUGHT, 0) is not None:
            continue  # what came while the run was ending has had its effect: the child is gone
        signal.pthread_sigmask(signal.SIG_SETMASK, self.before)
        if self._child_handler is not None:
            signal.signal(signal.SIGCHLD, self._child_handler)

    def stop_asked(self) -> int | None:
        """The exit code for a stop that was asked for before there was a child, else None."""
        while (info := signal.sigtimedwait(_CAUGHT, 0)) is not None:
            if info.si_signo in _STOPPING and signal.getsignal(info.si_signo) is not signal.SIG_IGN:
                return 128 + info.si_signo
        return None

    def run(self, command: Sequence[str], environ: Mapping[str, str]) -> int:
        """Start the command, pass signals on, and return its exit code, or 128+n if signal n ended it.

        Raises:
            RunFailure: the command was not found (127) or is not executable (126).
        """
        child = _spawn(command, environ, self.before)
        while True:
            info = signal.sigwaitinfo(_CAUGHT)
            if info.si_signo != signal.SIGCHLD:
                _pass_on(info, child)
                continue
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended == child:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code


def _spawn(command: Sequence[str], environ: Mapping[str, str], mask: Collection[int]) -> int:
    # Python ignores SIGPIPE and SIGXFSZ for itself; a child expects them as the system has them
    restored = [signal.SIGPIPE, signal.SIGXFSZ]
    try:
        # posix_spawnp looks in the PATH of this process, and a binding may have put programs before it
        found = shutil.which(command[0], path=environ.get("PATH"))
        if found is not None and "/" not in command[0]:
            return os.posix_spawn(found, list(command), dict(environ), setsigmask=mask, setsigdef=restored)
        return os.posix_spawnp(command[0], list(command), dict(environ), setsigmask=mask, setsigdef=restored)
    except OSError as error:
        there = error.errno not in (errno.ENOENT, errno.ENOTDIR)
        what = f"{command[0]}: {error.strerror}" if there else f"{command[0]}: command not found"
        hint = "" if there else "give a command that is on PATH, after `--`"
        raise RunFailure(what, hint=hint, code=NOT_EXECUTABLE if there else NOT_FOUND) from error


def _pass_on(info: signal.struct_siginfo, child: int) -> None:
    try:
        # positive codes come from the kernel: the terminal signalled the whole group, child included
        if info.si_code > 0 and os.getpgid(child) == os.getpgrp():
            return
        os.kill(child, info.si_signo)
    except ProcessLookupError:
        return  # it has just ended; SIGCHLD follows
