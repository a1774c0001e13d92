"""The walk knows every kind of statement that the parser knows."""

from postgast import pg_query_pb2

from bodycam.policy.sql.analysis import NODES, UNKNOWN_STATEMENT, analyse

# what wraps a statement, what only a planner makes, and what stands in PL/pgSQL alone
NOT_OF_A_TEXT = {"RawStmt", "SetOperationStmt", "PLAssignStmt"}


def statements_of_the_grammar() -> set[str]:
    return {name for name in pg_query_pb2.DESCRIPTOR.message_types_by_name if name.endswith("Stmt")}


def test_every_statement_of_the_grammar_has_its_handler() -> None:
    assert statements_of_the_grammar() - set(NODES) - NOT_OF_A_TEXT == set()


def test_the_walk_waits_for_no_statement_that_the_grammar_lacks() -> None:
    assert {name for name in NODES if name.endswith("Stmt")} <= statements_of_the_grammar()


def test_a_statement_without_a_handler_is_unknown() -> None:
    without = {name: handler for name, handler in NODES.items() if name != "VacuumStmt"}
    assert analyse("vacuum", without).unknown == (UNKNOWN_STATEMENT,)
