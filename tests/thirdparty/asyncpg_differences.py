"""The tests of asyncpg that end otherwise through the gateway than without it, and why.

docs/compatibility.md has the same table for people; a test compares the two.
"""

NAME = "the target is told the run and its agent, and so the client is told them too"
AHEAD = (
    "the gateway takes in more ahead of the target, so a client may have sent all before it hears of an error"
)

DIFFERENCES = {
    "test_pool::TestPool::test_pool_floor_reconnect_honors_expired_generation": NAME,
    "test_pool::TestPool::test_pool_set_connection_args": NAME,
    "test_execute::TestExecuteMany::test_executemany_server_failure_during_writes": AHEAD,
}
