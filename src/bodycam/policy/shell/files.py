"""Which of their operands well-known programs read, write and delete."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from bodycam.policy.shell.gathering import SOMETHING, Found, Gathering, path
from bodycam.policy.shell.options import Given, Options, has, value_of, values_of
from bodycam.policy.shell.reasons import OPTIONS_UNCLEAR, Unclear
from bodycam.policy.shell.words import Word

Touches = Callable[[Gathering, Given, list[Word]], None]
"""Notes what is done to the operands of a command with these options."""

_STREAM: Final = frozenset(("-", "/dev/null", "/dev/stdin", "/dev/stdout", "/dev/stderr", "/dev/tty", ""))


def touched(found: Found, words: Iterable[Word]) -> None:
    """Note paths, but for those of streams."""
    for word in words:
        if word.text not in _STREAM and word.text[:2] not in ("<(", ">("):
            found[path(word)] = None


def _reads(gathering: Gathering, given: Given, operands: list[Word]) -> None:
    touched(gathering.reads, operands)


def _writes(gathering: Gathering, given: Given, operands: list[Word]) -> None:
    touched(gathering.writes, operands)


def _deletes(gathering: Gathering, given: Given, operands: list[Word]) -> None:
    touched(gathering.deletes, operands)


def _writes_but_first(gathering: Gathering, given: Given, operands: list[Word]) -> None:
    """The first operand is a mode, an owner; unless that is taken from a file."""
    touched(gathering.reads, values_of(given, "reference"))
    touched(gathering.writes, operands if has(given, "reference") else operands[1:])


def _copies(gathering: Gathering, given: Given, operands: list[Word]) -> None:
    sources, into = _into(given, operands)
    touched(gathering.reads, sources)
    touched(gathering.writes, into)


def _moves(gathering: Gathering, given: Given, operands: list[Word]) -> None:
    sources, into = _into(given, operands)
    touched(gathering.reads, sources)
    touched(gathering.deletes, sources)
    touched(gathering.writes, into)


def _links(gathering: Gathering, given: Given, operands: list[Word]) -> None:
    if len(operands) == 1 and not has(given, "t", "target-directory"):
        touched(gathering.reads, operands)
        touched(gathering.writes, [Word(operands[0].text.rpartition("/")[2], plain=operands[0].plain)])
    else:
        _copies(gathering, given, operands)


def _into(given: Given, operands: list[Word]) -> tuple[list[Word], list[Word]]:
    target = values_of(given, "t", "target-directory")
    return (operands, target) if target else (operands[:-1], operands[-1:])


def _installs(gathering: Gathering, given: Given, operands: list[Word]) -> None:
    if has(given, "d", "directory"):
        touched(gathering.writes, operands)
    else:
        _copies(gathering, given, operands)


def _sorts(gathering: Gathering, given: Given, operands: list[Word]) -> None:
    touched(gathering.reads, operands)
    touched(gathering.writes, values_of(given, "o", "output"))


def _searches(gathering: Gathering, given: Given, operands: list[Word]) -> None:
    touched(gathering.reads, values_of(given, "f", "file"))
    touched(gathering.reads, operands if has(given, "e", "f", "regexp", "file") else operands[1:])


def _edits(gathering: Gathering, given: Given, operands: list[Word]) -> None:
    touched(gathering.reads, values_of(given, "f", "file"))
    files = operands if has(given, "e", "f", "expression", "file") else operands[1:]
    touched(gathering.reads, files)
    if has(given, "i", "in-place"):
        touched(gathering.writes, files)


def _copies_blocks(gathering: Gathering, given: Given, operands: list[Word]) -> None:
    for word in operands:
        name, _, value = word.text.partition("=")
        if name in ("if", "of"):
            touched(gathering.reads if name == "if" else gathering.writes, [Word(value, plain=word.plain)])


def _archives(gathering: Gathering, given: Given, operands: list[Word]) -> None:
    if has(
        given,
        "to-command",
        "checkpoint-action",
        "use-compress-program",
        "I",
        "info-script",
        "F",
        "rsh-command",
    ):
        raise Unclear(OPTIONS_UNCLEAR)
    # the letters may stand without a dash in the first word
    if not any(name in _TAR_DOES for name, _ in given) and operands and not operands[0].text.startswith("-"):
        bundled = operands.pop(0)
        for letter in bundled.text:
            takes = letter in "fCbTXLgIKNVHFR" and operands
            given.append((letter, operands.pop(0) if takes else None))
    archives = values_of(given, "f", "file")
    into = values_of(given, "C", "directory")
    if has(given, "x", "extract", "get"):
        touched(gathering.reads, archives)
        touched(gathering.writes, into or [Word(".")])
    elif has(given, "t", "list", "d", "diff"):
        touched(gathering.reads, archives)
    else:
        touched(gathering.writes, archives)
        touched(gathering.reads, operands)
        if has(given, "remove-files"):
            touched(gathering.deletes, operands)


def _synchronises(gathering: Gathering, given: Given, operands: list[Word]) -> None:
    if has(given, "server"):
        # what a client elsewhere has run here: the first operand is "."
        touched(gathering.reads if has(given, "sender") else gathering.writes, operands[1:])
        if any(name.startswith("delete") for name, _ in given):
            touched(gathering.deletes, operands[1:])
        if has(given, "remove-source-files"):
            touched(gathering.deletes, operands[1:])
        return
    shell = value_of(given, "e", "rsh")
    if shell is not None and (not shell.plain or shell.text.split(" ")[0] != "ssh" or "ommand" in shell.text):
        raise Unclear(OPTIONS_UNCLEAR)
    _copies(gathering, [], operands)
    if any(name.startswith("delete") for name, _ in given):
        touched(gathering.deletes, operands[-1:])
    if has(given, "remove-source-files"):
        touched(gathering.deletes, operands[:-1])


def _secure_copies(gathering: Gathering, given: Given, operands: list[Word]) -> None:
    if has(given, "t", "f"):
        # the far end of a copy, as a client has it run here
        touched(gathering.writes if has(given, "t") else gathering.reads, operands)
        return
    if has(given, "S") or any("command" in one.text.lower() for one in values_of(given, "o")):
        raise Unclear(OPTIONS_UNCLEAR)
    _copies(gathering, given, operands)


def _curl(gathering: Gathering, given: Given, operands: list[Word]) -> None:
    touched(
        gathering.writes,
        values_of(
            given, "o", "output", "D", "dump-header", "c", "cookie-jar", "output-dir", "stderr", "trace"
        ),
    )
    touched(gathering.reads, values_of(given, "T", "upload-file", "K", "config"))
    if has(given, "O", "remote-name", "remote-name-all"):
        touched(gathering.writes, [Word(SOMETHING)])
    for value in values_of(
        given, "d", "data", "data-binary", "data-ascii", "data-urlencode", "json", "F", "form"
    ):
        _, at, file = value.text.partition("@")
        if at:
            touched(gathering.reads, [Word(file.partition(";")[0], plain=value.plain)])


def _wget(gathering: Gathering, given: Given, operands: list[Word]) -> None:
    touched(gathering.reads, values_of(given, "i", "input-file", "post-file", "body-file"))
    into = values_of(given, "O", "output-document")
    touched(gathering.writes, [*into, *values_of(given, "P", "directory-prefix", "o", "output-file")])
    if not into and operands:
        touched(gathering.writes, [Word(SOMETHING)])


def _compresses(gathering: Gathering, given: Given, operands: list[Word]) -> None:
    touched(gathering.reads, operands)
    if not has(given, "c", "stdout", "to-stdout", "t", "test", "l", "list"):
        touched(gathering.writes, operands)
        if not has(given, "k", "keep"):
            touched(gathering.deletes, operands)


_TAR_DOES: Final = frozenset(
    (
        "c",
        "x",
        "t",
        "r",
        "u",
        "A",
        "d",
        "create",
        "extract",
        "get",
        "list",
        "append",
        "update",
        "diff",
        "delete",
    )
)

_READ: Final = (Options("n:c:", "lines= bytes="), _reads)
_WRITE: Final = (Options("m:Z:", "mode= context="), _writes)
_COPY: Final = Options("t:S:Z", "target-directory= suffix= no-target-directory backup")
_SEARCH: Final = (
    Options(
        "e:f:m:A:B:C:d:D:",
        "regexp= file= max-count= after-context= before-context= context= include= exclude= exclude-dir= "
        "exclude-from= directories= devices= binary-files= label=",
    ),
    _searches,
)
_COMPRESS: Final = (Options("S:T:o:", "suffix= threads="), _compresses)
_OWN: Final = (Options("", "reference= from="), _writes_but_first)
_TAR: Final = Options(
    "f:C:b:T:X:L:g:I:K:N:V:H:F:",
    "file= directory= exclude= files-from= exclude-from= transform= strip-components= to-command= "
    "checkpoint-action= info-script= rsh-command= owner= group= mode= use-compress-program= create extract "
    "get list append update diff remove-files",
)
_RSYNC: Final = Options(
    "e:f:T:B:M:",
    "rsh= filter= exclude= include= exclude-from= include-from= files-from= temp-dir= rsync-path= port= "
    "bwlimit= max-size= min-size= chmod= chown= out-format= log-file= password-file= timeout= backup-dir= "
    "suffix= compare-dest= link-dest= copy-dest= partial-dir= block-size= remote-option= delete delete-after "
    "delete-before delete-during delete-delay delete-excluded remove-source-files server sender",
)
_CURL: Final = Options(
    "o:D:c:T:K:d:F:b:H:A:e:u:x:X:m:w:E:C:Y:y:r:z:Q:U:P:t:",
    "output= dump-header= cookie-jar= upload-file= config= data= data-binary= data-ascii= data-raw= "
    "data-urlencode= json= form= cookie= header= user-agent= referer= user= proxy= request= max-time= "
    "write-out= cert= key= cacert= capath= connect-timeout= retry= retry-delay= retry-max-time= resolve= "
    "range= url= output-dir= stderr= trace= interface= limit-rate= max-redirs= proxy-user= form-string= "
    "unix-socket= connect-to= ciphers= aws-sigv4= oauth2-bearer= remote-name remote-name-all",
)
_WGET: Final = Options(
    "O:o:P:i:a:t:T:w:Q:U:A:R:D:l:I:X:e:",
    "output-document= output-file= directory-prefix= input-file= header= user-agent= post-data= post-file= "
    "body-data= body-file= method= timeout= tries= user= password= referer= load-cookies= save-cookies= "
    "ca-certificate= execute=",
)
_INSTALL: Final = Options(
    "t:S:Z:m:o:g:", "target-directory= suffix= mode= owner= group= strip-program= directory"
)
_SORT: Final = Options("k:t:o:S:T:", "key= field-separator= output= buffer-size= temporary-directory=")
_READERS: Final = (
    "cat tac head tail less more nl wc od xxd hexdump strings md5sum sha1sum sha256sum sha512sum cksum b2sum "
    "base64 base32 cmp diff comm cut paste uniq zcat bzcat xzcat zless rev fold"
)

FILES: Final[Mapping[str, tuple[Options, Touches]]] = {
    **dict.fromkeys(_READERS.split(" "), _READ),
    **dict.fromkeys(("grep", "egrep", "fgrep", "zgrep", "rg"), _SEARCH),
    **dict.fromkeys(("rm", "unlink", "rmdir"), (Options(), _deletes)),
    **dict.fromkeys(("mkdir", "mkfifo", "mknod", "tee"), _WRITE),
    **dict.fromkeys(("vi", "vim", "nano", "ed", "ex", "emacs", "sudoedit"), (Options(), _writes)),
    **dict.fromkeys(("chmod", "chown", "chgrp", "chattr", "setfacl"), _OWN),
    **dict.fromkeys(("gzip", "gunzip", "bzip2", "bunzip2", "xz", "unxz", "zstd", "unzstd"), _COMPRESS),
    "sort": (_SORT, _sorts),
    "shred": (Options("n:s:", "iterations= size= random-source="), _deletes),
    "touch": (Options("d:r:t:", "date= reference= time="), _writes),
    "truncate": (Options("s:r:", "size= reference="), _writes),
    "cp": (_COPY, _copies),
    "mv": (_COPY, _moves),
    "ln": (_COPY, _links),
    "install": (_INSTALL, _installs),
    "dd": (Options(), _copies_blocks),
    "sed": (Options("e:f:i?l:E", "expression= file= in-place line-length="), _edits),
    "tar": (_TAR, _archives),
    "rsync": (_RSYNC, _synchronises),
    "scp": (Options("c:D:F:i:J:l:o:P:S:X:"), _secure_copies),
    "git-upload-pack": (Options("", "timeout="), _reads),
    "git-upload-archive": (Options(), _reads),
    "git-receive-pack": (Options(), _writes),
    "curl": (_CURL, _curl),
    "wget": (_WGET, _wget),
}


def note_files(gathering: Gathering, name: str, words: Sequence[Word]) -> None:
    """What a command touches, if it is one that is known."""
    known = FILES.get(name)
    if known is not None:
        options, touches = known
        given, operands = options.among(words, 1)
        touches(gathering, given, operands)
