"""Functions of PostgreSQL and its own extensions that do more than compute.

Sources: the functions that `pg_proc` calls volatile, each looked up in the manual (chapters "System
Administration Functions", "Sequence Manipulation Functions", "Large Objects", "XML Functions", "Text Search
Functions", and the pages of dblink, adminpack, tablefunc, xml2, pg_stat_statements). A volatile function that
leaves nothing behind (`random`, `clock_timestamp`, `pg_sleep`) is not here; tests/interop holds the table to
the catalog of a real server.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Named(StrEnum):
    """What a function does with the relation that its first argument names; SHOWS is row by row."""

    READS = "reads"
    WRITES = "writes"
    SHOWS = "shows"


@dataclass(frozen=True, slots=True)
class Effect:
    """What calling one function does.

    `writes`: it changes something, here or in the server's processes. `files`: it looks at or changes the
    server's files. `runs`: the position of the argument that is run as SQL, HIDDEN if SQL is made or run in a
    way that the text doesn't show. `relation`: what it does with the relation that its first argument names.
    `anywhere`: it belongs to an extension, which may live in any schema.
    """

    writes: bool = False
    files: bool = False
    runs: int | None = None
    relation: Named | None = None
    anywhere: bool = False


_WRITES: Final = """
    binary_upgrade_create_empty_extension binary_upgrade_set_missing_value
    binary_upgrade_set_record_init_privs binary_upgrade_set_next_array_pg_type_oid
    binary_upgrade_set_next_heap_pg_class_oid binary_upgrade_set_next_heap_relfilenode
    binary_upgrade_set_next_index_pg_class_oid binary_upgrade_set_next_index_relfilenode
    binary_upgrade_set_next_multirange_array_pg_type_oid
    binary_upgrade_set_next_multirange_pg_type_oid binary_upgrade_set_next_pg_authid_oid
    binary_upgrade_set_next_pg_enum_oid binary_upgrade_set_next_pg_tablespace_oid
    binary_upgrade_set_next_pg_type_oid binary_upgrade_set_next_toast_pg_class_oid
    binary_upgrade_set_next_toast_relfilenode binary_upgrade_add_sub_rel_state
    binary_upgrade_replorigin_advance binary_upgrade_logical_slot_has_caught_up
    brin_desummarize_range brin_summarize_new_values brin_summarize_range gin_clean_pending_list
    lo_creat lo_create lo_from_bytea lo_put lo_truncate lo_truncate64 lo_unlink lowrite
    pg_advisory_lock pg_advisory_lock_shared pg_advisory_unlock pg_advisory_unlock_all
    pg_advisory_unlock_shared pg_advisory_xact_lock pg_advisory_xact_lock_shared
    pg_try_advisory_lock pg_try_advisory_lock_shared pg_try_advisory_xact_lock
    pg_try_advisory_xact_lock_shared pg_backup_start pg_backup_stop pg_start_backup pg_stop_backup
    pg_cancel_backend pg_terminate_backend pg_log_backend_memory_contexts pg_reload_conf
    pg_rotate_logfile pg_rotate_logfile_old pg_promote pg_switch_wal pg_create_restore_point
    pg_log_standby_snapshot pg_wal_replay_pause pg_wal_replay_resume
    pg_copy_logical_replication_slot pg_copy_physical_replication_slot
    pg_create_logical_replication_slot pg_create_physical_replication_slot pg_drop_replication_slot
    pg_replication_slot_advance pg_sync_replication_slots pg_logical_slot_get_binary_changes
    pg_logical_slot_get_changes pg_logical_emit_message pg_replication_origin_advance
    pg_replication_origin_create pg_replication_origin_drop pg_replication_origin_session_reset
    pg_replication_origin_session_setup pg_replication_origin_xact_reset
    pg_replication_origin_xact_setup pg_export_snapshot pg_extension_config_dump
    pg_import_system_collations pg_nextoid pg_notify pg_stop_making_pinned_objects pg_stat_reset
    pg_stat_reset_replication_slot pg_stat_reset_shared pg_stat_reset_single_function_counters
    pg_stat_reset_single_table_counters pg_stat_reset_slru pg_stat_reset_subscription_stats
    pg_stat_reset_backend_stats pg_clear_relation_stats pg_restore_relation_stats
    pg_clear_attribute_stats pg_restore_attribute_stats set_config
"""
_FILES: Final = """
    pg_read_file pg_read_file_old pg_read_binary_file pg_stat_file pg_ls_dir pg_ls_logdir
    pg_ls_waldir pg_ls_archive_statusdir pg_ls_tmpdir pg_ls_logicalmapdir pg_ls_logicalsnapdir
    pg_ls_replslotdir pg_ls_summariesdir pg_hba_file_rules pg_ident_file_mappings
    pg_show_all_file_settings
"""
_RUNS_FIRST: Final = "query_to_xml query_to_xmlschema query_to_xml_and_xmlschema ts_stat"
_SHOWS_TABLE: Final = "table_to_xml table_to_xmlschema table_to_xml_and_xmlschema"
_WHOLE_SCHEMAS: Final = """
    schema_to_xml schema_to_xmlschema schema_to_xml_and_xmlschema database_to_xml
    database_to_xmlschema database_to_xml_and_xmlschema
"""
_OF_EXTENSIONS_WRITE: Final = """
    pg_stat_statements_reset pg_prewarm autoprewarm_start_worker autoprewarm_dump_now
    pg_truncate_visibility_map heap_force_kill heap_force_freeze postgres_fdw_disconnect
    postgres_fdw_disconnect_all pg_buffercache_evict
"""
_OF_EXTENSIONS_FILES: Final = "pg_file_read pg_file_length pg_logdir_ls"
_OF_EXTENSIONS_WRITE_FILES: Final = "pg_file_write pg_file_sync pg_file_rename pg_file_unlink"
_OF_EXTENSIONS_RUN: Final = "crosstab crosstab2 crosstab3 crosstab4 crosstabn"
_OF_EXTENSIONS_RUN_HIDDEN: Final = "connectby xpath_table"
_REMOTE: Final = """
    dblink dblink_exec dblink_open dblink_fetch dblink_close dblink_send_query dblink_get_result
    dblink_connect dblink_connect_u dblink_disconnect dblink_cancel_query
"""

HIDDEN: Final = -1


def _all(names: str, effect: Effect) -> dict[str, Effect]:
    return dict.fromkeys(names.split(), effect)


EFFECTS: Final[dict[str, Effect]] = {
    **_all(_WRITES, Effect(writes=True)),
    **_all("nextval setval", Effect(writes=True, relation=Named.WRITES)),
    **_all("lo_import lo_export", Effect(writes=True, files=True)),
    **_all(_FILES, Effect(files=True)),
    **_all(_RUNS_FIRST, Effect(runs=0)),
    "ts_rewrite": Effect(runs=1),
    **_all(_SHOWS_TABLE, Effect(relation=Named.SHOWS)),
    **_all("currval pg_sequence_last_value", Effect(relation=Named.READS)),
    **_all(_WHOLE_SCHEMAS, Effect(runs=HIDDEN)),
    **_all(_OF_EXTENSIONS_WRITE, Effect(writes=True, anywhere=True)),
    **_all(_OF_EXTENSIONS_FILES, Effect(files=True, anywhere=True)),
    **_all(_OF_EXTENSIONS_WRITE_FILES, Effect(writes=True, files=True, anywhere=True)),
    **_all(_OF_EXTENSIONS_RUN, Effect(runs=0, anywhere=True)),
    **_all(_OF_EXTENSIONS_RUN_HIDDEN, Effect(runs=HIDDEN, anywhere=True)),
    **_all(_REMOTE, Effect(writes=True, runs=HIDDEN, anywhere=True)),
}


def effect_of(schema: str | None, name: str) -> Effect | None:
    """What calling a function does, or None where it only computes or isn't known."""
    found = EFFECTS.get(name)
    if found is None or schema is None or schema == "pg_catalog" or found.anywhere:
        return found
    return None
