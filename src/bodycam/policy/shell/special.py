"""Commands that take others in ways of their own: shells, eval, find, xargs, ssh, su, traps and aliases."""

import re
from collections.abc import Callable, Mapping, Sequence
from posixpath import normpath
from typing import TYPE_CHECKING, Final

from bodycam.policy.shell.files import touched
from bodycam.policy.shell.gathering import SOMETHING
from bodycam.policy.shell.options import Options, has, value_of, values_of
from bodycam.policy.shell.reasons import (
    ALIAS,
    OPTIONS_UNCLEAR,
    READING_CHANGED,
    SCRIPT_IS_DATA,
    Unclear,
)
from bodycam.policy.shell.words import Word

if TYPE_CHECKING:
    from bodycam.policy.shell.commands import Running

Special = Callable[["Running", Sequence[Word]], None]

_STDIN: Final = frozenset(("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"))
_DESCRIPTOR: Final = re.compile(r"/dev/(?!shm/).*|(?:.*/)?(?:fd/.*|std(?:in|out|err))|\d+")
_SHELL_FLAGS: Final = frozenset("abefhiklmnprtuvxBCDEHPTslc")
_SHELL_LONG: Final = frozenset(("login", "noprofile", "norc", "posix", "restricted", "verbose", "noediting"))
_SSH: Final = Options("46AaCfGgKkMNnqsTtVvXxYyB:b:c:D:E:e:F:I:i:J:L:l:m:O:o:P:p:Q:R:S:W:w:")
_RUNS_BY_SSH: Final = ("proxycommand", "localcommand", "knownhostscommand", "permitlocalcommand")
_SFTP: Final = Options("46AaCfNpqrvB:b:c:D:F:i:J:l:o:P:R:S:s:X:")
_MAPFILE: Final = Options("td:n:O:s:u:C:c:")
_COMPGEN: Final = Options("abcdefgjksuvo:A:G:W:F:C:X:P:S:V:")
_JOBS: Final = Options("lnprsx")
_SU: Final = Options(
    "mplfPc:g:G:s:w:u:",
    "command= session-command= group= supp-group= shell= whitelist-environment= user= login "
    "preserve-environment fast pty",
)
_XARGS: Final = Options(
    "0otrpxa:d:E:I:L:n:P:s:i?e?l?",
    "null arg-file= delimiter= eof replace max-lines max-args= max-procs= max-chars= interactive "
    "no-run-if-empty exit verbose open-tty show-limits process-slot-var=",
)
_WATCH: Final = Options(
    "bdegtcxwn:q:", "beep color differences errexit chgexit exec interval= no-title no-wrap precise equexit="
)
_FLOCK: Final = Options(
    "seuonxFw:E:",
    "shared exclusive unlock nonblock nb no-fork close verbose timeout= wait= conflict-exit-code=",
)


def literal(words: Sequence[Word]) -> str:
    """Words joined, as a shell gets them.

    Raises:
        Unclear: not all of them are known.
    """
    if not all(word.known and word.whole for word in words):
        raise Unclear(SCRIPT_IS_DATA)
    return " ".join([word.text for word in words])


def _shell(running: "Running", words: Sequence[Word]) -> None:
    """A shell: its script, its file, or what it reads.

    https://www.gnu.org/software/bash/manual/html_node/Invoking-Bash.html
    """
    at, script, stdin = 1, False, False
    while at < len(words):
        word = words[at]
        if not word.known:
            if script:
                break
            raise Unclear(SCRIPT_IS_DATA)
        text = word.text
        if text in ("--version", "--help"):
            return
        if text in ("--", "-"):
            at += 1
            break
        if text[:1] not in ("-", "+") or len(text) == 1:
            break
        at += 1
        if text.startswith("--"):
            if text[2:] not in _SHELL_LONG:
                raise Unclear(OPTIONS_UNCLEAR)
            continue
        for letter in text[1:]:
            if letter in "oO":
                at += 1
            elif letter not in _SHELL_FLAGS:
                raise Unclear(OPTIONS_UNCLEAR)
        script = script or (text[0] == "-" and "c" in text)
        stdin = stdin or (text[0] == "-" and "s" in text)
    operands = words[at:]
    if script:
        if operands:
            running.scripted(literal(operands[:1]))
    elif not operands or stdin or operands[0].text in _STDIN:
        running.from_stdin()
    else:
        _file(running, operands[0])


def _file(running: "Running", word: Word) -> None:
    """A file of commands, which is as much a program as any other file."""
    if not word.known:
        raise Unclear(SCRIPT_IS_DATA)
    if word.text in _STDIN:
        running.from_stdin()
        return
    if _DESCRIPTOR.fullmatch(normpath(word.text)):
        # a way to say what is open already, or may be one: a relative path can begin in /dev
        raise Unclear(SCRIPT_IS_DATA)
    running.ran_program(word.text)
    touched(running.gathering.reads, [word])


def _source(running: "Running", words: Sequence[Word]) -> None:
    operands = words[1:]
    if operands and operands[0].text == "--":
        operands = operands[1:]
    if operands:
        if operands[0].text.startswith("-") and operands[0].text != "-":
            raise Unclear(OPTIONS_UNCLEAR)
        _file(running, operands[0])


def _eval(running: "Running", words: Sequence[Word]) -> None:
    operands = words[1:]
    if operands and operands[0].text == "--":
        operands = operands[1:]
    running.scripted(literal(operands))


def _trap(running: "Running", words: Sequence[Word]) -> None:
    operands = words[1:]
    if operands and operands[0].known and operands[0].text == "--":
        operands = operands[1:]
    if len(operands) > 1 and not (operands[0].known and operands[0].text in ("", "-", "-p", "-l")):
        running.scripted(literal(operands[:1]))


def _alias(running: "Running", words: Sequence[Word]) -> None:
    if any(not word.known or "=" in word.text for word in words[1:]):
        raise Unclear(ALIAS)


def _shopt(running: "Running", words: Sequence[Word]) -> None:
    if any(not word.known or word.text in ("expand_aliases", "extglob") for word in words[1:]):
        raise Unclear(READING_CHANGED)


def _hash(running: "Running", words: Sequence[Word]) -> None:
    if any(not word.known or word.text.startswith("-") for word in words[1:] if word.text != "-r"):
        raise Unclear(READING_CHANGED)


def _enable(running: "Running", words: Sequence[Word]) -> None:
    if len(words) > 1:
        raise Unclear(READING_CHANGED)


def _mapfile(running: "Running", words: Sequence[Word]) -> None:
    given, _ = _MAPFILE.leading(words, 1)
    if has(given, "C"):
        raise Unclear(SCRIPT_IS_DATA)


def _compgen(running: "Running", words: Sequence[Word]) -> None:
    given, _ = _COMPGEN.leading(words, 1)
    if has(given, "C", "F", "W"):
        raise Unclear(SCRIPT_IS_DATA)


def _jobs(running: "Running", words: Sequence[Word]) -> None:
    given, at = _JOBS.leading(words, 1)
    if has(given, "x"):
        running.run(words[at:])


def _ip(running: "Running", words: Sequence[Word]) -> None:
    """What ip runs in a namespace of networks; its words may be cut short."""
    if any(not word.known or (word.text and "exec".startswith(word.text)) for word in words[1:6]):
        raise Unclear(OPTIONS_UNCLEAR)


def _fd(running: "Running", words: Sequence[Word]) -> None:
    for word in words[1:]:
        if word.text == "--":
            return
        long = word.text.startswith("--")
        if (
            not word.known
            or word.text.startswith("--ex")
            or (word.text[:1] == "-" and not long and ("x" in word.text or "X" in word.text))
        ):
            raise Unclear(OPTIONS_UNCLEAR)


def _sftp(running: "Running", words: Sequence[Word]) -> None:
    given, _ = _SFTP.leading(words, 1)
    if has(given, "D", "S") or any(_runs_by_ssh(option) for option in values_of(given, "o")):
        raise Unclear(OPTIONS_UNCLEAR)


def _find(running: "Running", words: Sequence[Word]) -> None:
    """What find does with what it finds.

    https://www.gnu.org/software/findutils/manual/html_node/find_html/Actions.html
    """
    if not all(word.whole for word in words):
        raise Unclear(OPTIONS_UNCLEAR)
    gathering = running.gathering
    starts: list[Word] = []
    for word in words[1:]:
        if word.text[:1] in ("-", "(", "!") and not (word.text in ("-L", "-H", "-P") and not starts):
            break
        if word.text[:1] != "-":
            starts.append(word)
    starts = starts or [Word(".")]
    touched(gathering.reads, starts)
    at = 1
    while at < len(words):
        action = words[at].text
        at += 1
        if action == "-delete":
            touched(gathering.deletes, starts)
        elif action in ("-fprint", "-fprint0", "-fprintf", "-fls"):
            touched(gathering.writes, words[at : at + 1])
        elif action in ("-exec", "-execdir", "-ok", "-okdir"):
            end = at
            while end < len(words) and not (
                words[end].text == ";" or (words[end].text == "+" and words[end - 1].text == "{}")
            ):
                end += 1
            if end == len(words):
                raise Unclear(OPTIONS_UNCLEAR)
            running.run([_replaced(word, "{}") for word in words[at:end]])
            at = end + 1


def _replaced(word: Word, mark: str) -> Word:
    """A word in which something that the text doesn't tell takes the place of a mark."""
    if not mark or mark not in word.text:
        return word
    text = word.text.replace(mark, SOMETHING)
    return Word(text, plain=False)


def _xargs(running: "Running", words: Sequence[Word]) -> None:
    given, at = _XARGS.leading(words, 1)
    touched(running.gathering.reads, values_of(given, "a", "arg-file"))
    rest = list(words[at:])
    mark = value_of(given, "I", "i", "replace")
    if mark is not None or has(given, "replace"):
        text = mark.text if mark is not None and mark.text else "{}"
        rest = [_replaced(word, text) for word in rest]
    elif rest:
        rest.append(Word(SOMETHING, plain=False, whole=False))
    running.stdin = None
    running.run(rest)


def _runs_by_ssh(option: Word) -> bool:
    return not option.plain or option.text.lower().lstrip().startswith(_RUNS_BY_SSH)


def _ssh(running: "Running", words: Sequence[Word]) -> None:
    given, at = _SSH.leading(words, 1)
    at += 1
    if at < len(words) and words[at].text[:1] == "-":
        more, at = _SSH.leading(words, at)
        given += more
    if any(_runs_by_ssh(option) for option in values_of(given, "o")):
        raise Unclear(OPTIONS_UNCLEAR)
    if at < len(words):
        if not has(given, "s"):
            running.scripted(literal(words[at:]))
    elif not has(given, "N", "W", "V", "Q", "O", "G"):
        running.from_stdin()


def _su(running: "Running", words: Sequence[Word]) -> None:
    """Runuser is the same, but for its option -u, with which it runs a program without a shell."""
    if not all(word.known or word.whole for word in words):
        raise Unclear(OPTIONS_UNCLEAR)
    given, operands = _SU.among(words, 1)
    if any(name not in _SU_NAMES for name, _ in given):
        raise Unclear(OPTIONS_UNCLEAR)
    operands = [word for word in operands if word.text != "-"]
    user = value_of(given, "u", "user")
    sudo = running.gathering.sudo
    if user is not None:
        sudo[user.text if user.plain else SOMETHING] = None
        _, at = _SU.leading(words, 1)
        running.run(words[at:])
        return
    sudo[(operands[0].text if operands[0].plain else SOMETHING) if operands else "root"] = None
    command = value_of(given, "c", "command", "session-command")
    if command is None and len(operands) > 2 and operands[1].text == "-c":
        command = operands[2]
    if command is not None:
        running.scripted(literal([command]))
    elif len(operands) > 1:
        _file(running, operands[1])
    else:
        running.from_stdin()


_SU_NAMES: Final = frozenset("mplfPcgGswu") | {
    "command", "session-command", "group", "supp-group", "shell", "whitelist-environment", "user", "login",
    "preserve-environment", "fast", "pty",
}  # fmt: skip


def _watch(running: "Running", words: Sequence[Word]) -> None:
    given, at = _WATCH.leading(words, 1)
    if has(given, "x", "exec"):
        running.run(words[at:])
    else:
        running.scripted(literal(words[at:]))


def _flock(running: "Running", words: Sequence[Word]) -> None:
    _, at = _FLOCK.leading(words, 1)
    touched(running.gathering.writes, [word for word in words[at : at + 1] if not word.text.isdigit()])
    rest = words[at + 1 :]
    if rest and rest[0].text in ("-c", "--command"):
        running.scripted(literal(rest[1:2]))
    else:
        running.run(rest)


SPECIAL: Final[Mapping[str, Special]] = {
    "sh": _shell,
    "eval": _eval,
    "source": _source,
    ".": _source,
    "trap": _trap,
    "alias": _alias,
    "shopt": _shopt,
    "hash": _hash,
    "enable": _enable,
    "mapfile": _mapfile,
    "compgen": _compgen,
    "jobs": _jobs,
    "ip": _ip,
    "fd": _fd,
    "fdfind": _fd,
    "sftp": _sftp,
    "readarray": _mapfile,
    "find": _find,
    "xargs": _xargs,
    "ssh": _ssh,
    "su": _su,
    "runuser": _su,
    "watch": _watch,
    "flock": _flock,
}
