"""The tests of asyncpg that end otherwise through the gateway than without it, and why."""

NAME = "the target is told the run's name, never what the client calls itself"
PROCESS = "the process id that a client is told at its login is not that of the target's own process"
CANCEL = "a cancel request is answered before the target has it, and may hit the next statement"
SECOND_ERROR = "a fatal error of the target is followed by one of the gateway's own"

DIFFERENCES = {
    "test_pool::TestPool::test_pool_floor_reconnect_honors_expired_generation": NAME,
    "test_pool::TestPool::test_pool_set_connection_args": NAME,
    "test_listeners::TestListeners::test_listen_01": PROCESS,
    "test_listeners::TestListeners::test_listen_02": PROCESS,
    "test_listeners::TestListeners::test_listen_notletters": PROCESS,
    "test_pool::TestPool::test_pool_min_size_restored_after_idle_connection_loss": PROCESS,
    "test_timeout::TestTimeout::test_timeout_01": CANCEL,
    "test_timeout::TestTimeout::test_timeout_05": CANCEL,
    "test_execute::TestExecuteScript::test_execute_script_interrupted_by_server": SECOND_ERROR,
}
