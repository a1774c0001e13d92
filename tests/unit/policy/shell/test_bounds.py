"""Texts made to hurt: a clear verdict, in a process that goes on, with bounded memory."""

import subprocess
import sys

import pytest

from bodycam.policy.shell import parser
from bodycam.policy.shell.analysis import analyse

# each is given to a process of its own, so that a crash there is a failed test and not the end of all tests
HURTFUL = {
    "nested brackets": ("'( ' * 8_000 + 'a' + ' )' * 8_000", "too deep,does not parse"),
    "doubled brackets": ("'(' * 10_000 + 'a' + ')' * 10_000", "two readings"),
    "nested substitutions": ("'$(' * 10_000 + 'a' + ')' * 10_000", "too deep"),
    "nested substitutions unclosed": ("'$(' * 16_000", "does not parse"),
    "nested parameters": ("'echo ' + '${a:-' * 5_000 + '}' * 5_000", "too deep"),
    "nested sums": ("'echo $((' + '(' * 5_000 + '1' + ')' * 5_000 + '))'", "too deep"),
    "nested conditions": ("'[ ' + '! ' * 15_000 + 'a ]'", "too deep"),
    "nested blocks": ("'{ ' * 8_000 + 'a;' + ' }' * 8_000", "too deep,does not parse"),
    "nested scripts": (
        "__import__('functools').reduce(lambda one, _: 'sh -c ' + __import__('shlex').quote(one), range(11), 'rm')",
        "too large,too deep",
    ),
    "eval of eval": ("'eval ' * 6_000 + 'rm'", "too large,too deep"),
    "wrappers in wrappers": ("'sudo ' * 6_000 + 'rm'", "too large"),
    "a crowd of scripts": ("\"sh -c 'a';\" * 3_000", "too large"),
    "a crowd of backquotes": ("'`a`;' * 8_000", "too large,program from an expansion"),
    "a megabyte": ("'a ' * 500_000", "too large"),
    "many bytes in few characters": ("'echo ' + '\\U0001f600' * 10_000", "too large"),
    "an open quote": ("'echo \\'' + 'a' * 30_000", "does not parse"),
    "quotes without end": ("'\\'' * 32_001", "does not parse"),
    "braces that multiply": ("'echo ' + '{a,b}' * 30", "too large"),
    "braces in braces": ("'echo ' + '{a,' * 4_000 + 'b' + '}' * 4_000", "too large"),
    "open braces": ("'echo ' + '{' * 30_000", "too large"),
    "a long sequence": ("'echo {1..100000000}'", "too large"),
    "a crowd of sequences": ("'echo' + ' {1..9999}' * 60", "too large"),
    "many pairs": (
        "'{ ' + ''.join(f'a{n};' for n in range(1_500)) + ' } | { ' + ''.join(f'b{n};' for n in range(1_500)) + ' }'",
        "too large",
    ),
    "a NUL": ("'ls\\0; rm x'", "invalid characters"),
    "a carriage return": ("'ls\\r\\nrm x'", "invalid characters"),
    "half a character": ("'ls \\udcff'", "invalid characters"),
    "half a character by an escape": ("\"echo $'\\\\xff'\"", "invalid characters"),
    "a surrogate": ("'ls \\ud800'", "invalid characters"),
    "a long pipeline": ("'a|' * 16_000 + 'a'", ""),
    "a long list": ("'a && ' * 6_000 + 'a'", ""),
    "many words": ("'echo ' + 'a ' * 16_000", ""),
    "many redirections": ("'>a ' * 10_000 + 'b'", ""),
    "many documents": ("'cat <<A\\n1\\nA\\n' * 2_000", ""),
    "dollars": ("'echo \"' + '$' * 30_000 + '\"'", ""),
    "lines that go on": ("'\\\\\\n' * 16_000 + ' a'", ""),
}

MEMORY = 512 * 1024 * 1024  # bytes, with all that the interpreter and its libraries have

RUN = """
import resource, sys, threading
resource.setrlimit(resource.RLIMIT_DATA, ({memory}, {memory}))
from bodycam.policy.shell.analysis import analyse
text = {expression}
found = []
run = lambda: found.append(analyse(text))
if sys.argv[1] == "thread":
    threading.stack_size(256 * 1024)
    one = threading.Thread(target=run); one.start(); one.join()
else:
    run()
print(",".join(found[0].unknown), analyse("rm x").programs)
"""


@pytest.mark.parametrize("where", ["main", "thread"])
@pytest.mark.parametrize("name", HURTFUL)
def test_a_text_made_to_hurt_has_a_verdict(name: str, where: str) -> None:
    expression, reasons = HURTFUL[name]
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(expression=expression, memory=MEMORY), where],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    said, after = done.stdout.rstrip("\n").rsplit(" ", 1)
    assert after == "('rm',)"
    assert set(said.split(",")) <= set(reasons.split(","))


def test_a_file_of_the_usual_size_written_by_a_command_line_is_understood() -> None:
    body = "".join(f"line {number} of $a file; rm -rf / | sh\n" for number in range(700))
    text = f"mkdir -p /srv/app && cat > /srv/app/notes <<'EOF'\n{body}EOF\nls /srv/app"
    assert len(text) < parser.MAX_TEXT
    facts = analyse(text)
    assert (facts.programs, facts.unknown) == (("mkdir", "cat", "ls"), ())
    assert facts.writes == ("/srv/app/notes", "/srv/app")


def test_letters_beyond_the_scanners_table_are_letters_and_end_nothing() -> None:
    """Found by fuzzing: it looked them up in a table of 256, and died where no memory was behind it."""
    for number in range(0x80, 0x110000, 0x1F3):
        letter = chr(number)
        if letter.isprintable() and not letter.isspace():
            assert analyse(f"a{letter} $x{letter} {letter}; rm {letter}").programs == (f"a{letter}", "rm")
    assert analyse("\u00e9=1 rm x").programs == ("\u00e9=1",)
