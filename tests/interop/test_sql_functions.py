"""The table of functions that act, held to the catalog of a real server."""

import re

from bodycam.policy.sql.functions import EFFECTS
from tests import stage

# volatile, and nothing is left behind by calling them: they look, wait, compare or count
HARMLESS = [
    "amvalidate",
    "clock_timestamp",
    "current_query",
    "currtid2",
    "cursor_to_xml",
    "cursor_to_xmlschema",
    "gen_random_uuid",
    "lastval",
    "lo_close",
    "lo_get",
    "lo_lseek",
    "lo_lseek64",
    "lo_open",
    "lo_tell",
    "lo_tell64",
    "loread",
    "pg_blocking_pids",
    "pg_collation_actual_version",
    "pg_control_checkpoint",
    "pg_control_init",
    "pg_control_recovery",
    "pg_control_system",
    "pg_current_logfile",
    "pg_current_wal_flush_lsn",
    "pg_current_wal_insert_lsn",
    "pg_current_wal_lsn",
    "pg_database_collation_actual_version",
    "pg_database_size",
    "pg_get_backend_memory_contexts",
    "pg_get_multixact_members",
    "pg_get_shmem_allocations",
    "pg_get_wal_replay_pause_state",
    "pg_get_wal_resource_managers",
    "pg_indexes_size",
    "pg_is_in_recovery",
    "pg_is_wal_replay_paused",
    "pg_isolation_test_session_is_blocked",
    "pg_jit_available",
    "pg_last_committed_xact",
    "pg_last_wal_receive_lsn",
    "pg_last_wal_replay_lsn",
    "pg_last_xact_replay_timestamp",
    "pg_lock_status",
    "pg_logical_slot_peek_binary_changes",
    "pg_logical_slot_peek_changes",
    "pg_notification_queue_usage",
    "pg_partition_ancestors",
    "pg_partition_tree",
    "pg_prepared_xact",
    "pg_relation_size",
    "pg_replication_origin_progress",
    "pg_replication_origin_session_is_setup",
    "pg_replication_origin_session_progress",
    "pg_safe_snapshot_blocking_pids",
    "pg_show_replication_origin_status",
    "pg_sleep",
    "pg_sleep_for",
    "pg_sleep_until",
    "pg_stat_clear_snapshot",
    "pg_stat_force_next_flush",
    "pg_stat_get_recovery_prefetch",
    "pg_stat_have_stats",
    "pg_table_size",
    "pg_tablespace_size",
    "pg_total_relation_size",
    "pg_xact_commit_timestamp",
    "pg_xact_commit_timestamp_origin",
    "pg_xact_status",
    "random",
    "setseed",
    "timeofday",
    "txid_status",
]
HARMLESS_FAMILIES = ("pg_stat_get_", "dsnowball_", "plpgsql_")

VOLATILE = """
select distinct proname::text from pg_proc where provolatile = 'v' and pronamespace = 'pg_catalog'::regnamespace
and prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
and not exists (select from pg_type where oid = prorettype and typname ~ '(_handler|_am_handler)$')
"""


def test_every_volatile_function_of_the_server_is_looked_at(server: stage.Postgres) -> None:
    volatile = {name for name in server.sql(VOLATILE).split() if not name.startswith(HARMLESS_FAMILIES)}
    # the sampling methods and handlers that only the server itself calls
    volatile -= {"bernoulli", "system"}
    assert volatile - set(EFFECTS) - set(HARMLESS) == set()
    assert set(EFFECTS) & set(HARMLESS) == set()


# of servers before or after the one that these tests run
OF_OTHER_VERSIONS = re.compile(
    "binary_upgrade_|pg_(start|stop)_backup|pg_log_standby_snapshot|pg_sync_replication_slots|pg_ls_summariesdir"
    "|pg_stat_reset_backend_stats|pg_(clear|restore)_(relation|attribute)_stats|pg_read_file_old|pg_rotate_logfile_old"
    "|pg_(hba_file_rules|ident_file_mappings)"
)


def test_every_function_that_is_known_is_one_of_the_server(server: stage.Postgres) -> None:
    there = set(server.sql("select proname::text from pg_proc").split())
    ours = {name for name, effect in EFFECTS.items() if not effect.anywhere}
    assert {name for name in ours - there if not OF_OTHER_VERSIONS.match(name)} == set()
