"""Texts made to hurt: a clear verdict, in a process that goes on, with bounded memory."""

import subprocess
import sys

import pytest

from bodycam.policy.sql.analysis import NODES, analyse
from bodycam.policy.sql.gathering import Gathering
from bodycam.policy.sql.parser import Refused
from bodycam.policy.sql.scope import Scope
from bodycam.policy.sql.walker import MAX_LEVEL, Walker

# each is given to a process of its own, so that a crash there is a failed test and not the end of all tests
HURTFUL = {
    "nested parentheses": ("'select ' + '(' * 10_000 + '1' + ')' * 10_000", "too deep"),
    "nested parentheses unclosed": ("'select ' + '(' * 200_000", "too deep"),
    "nested brackets": ("'select array' + '[' * 60_000 + '1' + ']' * 60_000", "too deep"),
    "nested calls": ("'select ' + 'f(' * 60_000 + '1' + ')' * 60_000", "too deep"),
    "nested subqueries": ("'select ' + '(select ' * 20_000 + '1' + ')' * 20_000", "too deep"),
    "nested cases": ("'select ' + 'case when 1 then ' * 7_000 + '1' + ' end' * 7_000", "too deep"),
    "a chain of NOT": ("'select ' + 'not ' * 60_000 + '1'", "too deep"),
    "a chain of operators": ("'select 1' + '+1' * 50_000", "too deep"),
    "the longest chain of operators": ("'select 1' + '+1' * 131_000", "too large"),
    "a chain of casts": ("'select 1' + '::x' * 50_000", "too deep"),
    "the longest chain of casts": ("'select 1' + '::x' * 87_000", "too large"),
    "a chain of IS NULL": ("'select 1' + ' isnull' * 35_000", "too deep"),
    "a chain of collations": ("'select 1' + ' collate x' * 25_000", "too deep"),
    "a chain of unions": ("'select' + ' union select' * 20_000", "too deep"),
    "a chain of joins": ("'table a' + ' union table a' * 18_000", "too deep"),
    "a chain of joined tables": ("'select from a' + ' join a on 1' * 21_000", "too deep"),
    "a run of plus": ("'select ' + '+' * 200_000 + '1'", "too deep"),
    "comments in comments": ("'/*' * 60_000 + '*/' * 60_000 + 'select 1'", "too deep"),
    "comments in comments, apart": ("'/* ' * 40_000 + '*/ ' * 40_000 + 'select 1'", ""),
    "a megabyte": ("'select ' + '1,' * 500_000 + '1'", "too large"),
    "a megabyte of one string": ("'select \\'' + 'a' * 1_000_000 + '\\''", "too large"),
    "many bytes in few characters": ("'select \\'' + '\\U0001f600' * 100_000 + '\\''", "too large"),
    "a tree much larger than its text": ("'select 1' + ',1' * 125_000", "too large"),
    "a NUL": ("'select 1\\0; drop table orders'", "invalid encoding"),
    "half a character": ("'select \\udcff'", "invalid encoding"),
    "bodies in bodies": (
        "__import__('functools').reduce("
        "lambda inner, n: f'do $b{n}$ begin execute $q{n}${inner}$q{n}$; end $b{n}$', range(20), 'select 1')",
        "too deep",
    ),
    "a crowd of bodies": ('"do $$ begin null; end $$;" * 9_000', "too large"),
    "a crowd of empty bodies": ("\"do '';\" * 40_000", "dynamic sql,too large"),
    "stars over many tables": (
        "'select ' + '*,' * 60_000 + '* from ' + ','.join(f't a{n}' for n in range(8_000))",
        "",
    ),
    "long names over many tables": (
        "'select ' + ','.join(f's.t{n}.a' for n in range(9_000)) + ' from ' + ','.join(f's.u{n}' for n in range(9_000))",
        "",
    ),
    "a crowd of updates": ("';'.join(f'update t{n} set a = 1 where b' for n in range(7_000))", ""),
    "a body of chains": ("'do $$ begin a := 1' + '+1' * 100_000 + '; end $$'", "dynamic sql"),
    "a deep body": ("'do $$ ' + 'begin ' * 5_000 + 'end; ' * 5_000 + ' $$'", "dynamic sql"),
}

MEMORY = 512 * 1024 * 1024  # bytes, with all that the interpreter and its libraries have

RUN = """
import resource, sys, threading
resource.setrlimit(resource.RLIMIT_DATA, ({memory}, {memory}))
from bodycam.policy.sql.analysis import analyse
text = {expression}
found = []
run = lambda: found.append(analyse(text))
if sys.argv[1] == "thread":
    threading.stack_size(256 * 1024)
    one = threading.Thread(target=run); one.start(); one.join()
else:
    run()
print(",".join(found[0].unknown), analyse("drop table orders").kinds)
"""


@pytest.mark.parametrize("where", ["main", "thread"])
@pytest.mark.parametrize("name", HURTFUL)
def test_a_text_made_to_hurt_has_a_verdict(name: str, where: str) -> None:
    expression, reason = HURTFUL[name]
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(expression=expression, memory=MEMORY), where],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{reason} ('drop',)\n"


def test_a_large_text_of_the_usual_kind_is_understood() -> None:
    rows = ", ".join(f"({n}, 'customer number {n}', now())" for n in range(4000))
    facts = analyse(f"insert into customers (id, name, since) values {rows}")
    assert (facts.kinds, facts.writes, facts.functions) == (("insert",), ("customers",), ("now",))


def test_a_long_chain_of_the_usual_kind_is_understood() -> None:
    assert (
        analyse("select id from orders where " + " or ".join(f"id = {n}" for n in range(5000))).unknown == ()
    )
    assert analyse("select 1" + " union all select id from orders" * 200).unknown == ()
    assert analyse("select 'a'" + " || name" * 300 + " from customers").unknown == ()


def test_lines_of_dashes_are_no_harm() -> None:
    line = "-" * 80
    assert analyse(f"/* {line}\n{line} */\n{line}\nselect 1 {line}\n").kinds == ("select",)


def test_a_tree_is_walked_so_far_and_no_further() -> None:
    def nested(levels: int) -> dict[str, object]:
        node: dict[str, object] = {"A_Const": {}}
        for _ in range(levels):
            node = {"BoolExpr": {"args": [node]}}
        return node

    walker = Walker(NODES, Gathering())
    walker.walk(nested(MAX_LEVEL // 4), Scope())
    assert walker.level == 0
    with pytest.raises((Refused, RecursionError)):
        walker.walk(nested(100_000), Scope())
