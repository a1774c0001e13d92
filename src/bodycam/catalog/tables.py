"""The catalog's tables. Times are microseconds of the Unix epoch; a schema change is a migration.

The full-text tables differ by database and live in `documents`: two FTS5 tables in SQLite, a tsvector column
in PostgreSQL.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Key = BigInteger().with_variant(Integer(), "sqlite")  # SQLite gives only INTEGER keys its own row number

meta = Table(
    "meta",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

service_accounts = Table(
    "service_accounts",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("groups", JSON, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("disabled", BigInteger),
    Column("kind", String(16), nullable=False, server_default="service"),  # of the principal: a person's too
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("account", String(64), ForeignKey("service_accounts.id"), nullable=False, index=True),
    Column("hash", LargeBinary, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger),
    Column("revoked", BigInteger),
    Column("last_used", BigInteger),  # to within a minute
    Column("scopes", JSON(none_as_null=True)),  # null: what its account may
)

runs = Table(
    "runs",
    metadata,
    Column("key", Key, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("issuer", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("principal_kind", String(16), nullable=False),
    Column("groups", JSON, nullable=False),
    Column("principal", Text, nullable=False),  # subject@issuer, what people filter by
    Column("agent", String(255), nullable=False),
    Column("labels", JSON, nullable=False),
    Column("trace", Text),
    Column("grade", String(16), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("ended", BigInteger),
    Column("revoked", BigInteger),
    Column("exit_code", Integer),
    Column("reason", Text),
    # which key started it; None for one that was recreated from a recording
    Column("api_key", String(64)),
    Index("ix_runs_created", "created", "key"),
    Index("ix_runs_agent", "agent", "created"),
    Index("ix_runs_principal", "principal", "created"),
    Index("ix_runs_api_key", "api_key", "key"),
    Index("ix_runs_expires", "expires", "key"),
    sqlite_autoincrement=True,
)

run_credentials = Table(
    "run_credentials",
    metadata,
    Column("run", String(64), ForeignKey("runs.id"), primary_key=True),
    Column("salt", LargeBinary, nullable=False),
    Column("iterations", Integer, nullable=False),
    Column("stored_key", LargeBinary, nullable=False),
    Column("server_key", LargeBinary, nullable=False),
    Column("token_hash", LargeBinary, nullable=False),
    Column("revoked", BigInteger),
)

# Starter, agent, target and protocol of sessions, once for all that have the same: see `provenances`.
provenances = Table(
    "provenances",
    metadata,
    Column("key", Key, primary_key=True, autoincrement=True),
    Column("principal", Text, nullable=False),
    Column("agent", String(255), nullable=False),
    Column("target", String(255), nullable=False),
    Column("protocol", String(64), nullable=False),
    Column("groups", JSON, nullable=False),  # of the starter, sorted
    Column("groups_hash", String(64), nullable=False),  # a list may be longer than an index takes
    UniqueConstraint("principal", "agent", "target", "protocol", "groups_hash"),
    sqlite_autoincrement=True,
)

sessions = Table(
    "sessions",
    metadata,
    Column("key", Key, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("run", Key, ForeignKey("runs.key"), nullable=False),
    Column("principal", Text, nullable=False),
    Column("agent", String(255), nullable=False),
    Column("target", String(255), nullable=False),
    Column("protocol", String(64), nullable=False),
    Column("database", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("claims", JSON, nullable=False),
    Column("policy", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("outcome", String(32)),
    Column("reason", Text),
    Column("opened", BigInteger, nullable=False),
    Column("closed", BigInteger),
    Column("sealed", BigInteger),
    Column("exchanges", BigInteger, nullable=False, server_default="0"),
    Column("failures", BigInteger, nullable=False, server_default="0"),  # statements that did not end ok
    Column("rows", BigInteger, nullable=False, server_default="0"),
    Column("bytes", BigInteger, nullable=False, server_default="0"),
    Column("worker", String(64), nullable=False),
    Column("opening", BigInteger, nullable=False),
    Column("object", Text),
    Column("offset", BigInteger),
    Column("length", BigInteger),
    Column("root", LargeBinary),
    Column("labels", JSON),  # the target's, as recorded; None: indexed before they were kept
    Column("provenance", Key),  # who may look at it is decided by that; a reviewer never sees one without
    Index("ix_sessions_opened", "opened", "key"),
    Index("ix_sessions_run", "run", "opened"),
    Index("ix_sessions_agent", "agent", "opened"),
    Index("ix_sessions_principal", "principal", "opened"),
    Index("ix_sessions_target", "target", "opened"),
    Index("ix_sessions_state", "state", "opened"),
    Index("ix_sessions_provenance", "provenance", "opened"),
    sqlite_autoincrement=True,
)

statements = Table(
    "statements",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("uses", BigInteger, nullable=False),  # exchanges that hold it; at 0 the row is deleted
    Column("newest", BigInteger, nullable=False),  # no bundle that holds it has a higher id
    Column("long", Boolean, nullable=False),  # has a document of its own
    Column("truncated", Boolean, nullable=False),
    Column("text", Text, nullable=False),
    sqlite_autoincrement=True,
)

# Exchanges of one session that asked the same and ended the same, a short time apart (see `bundles`). `id` is
# the newest start in microseconds times 4096 plus a discriminator (see `ingest`): one clustered order serves
# newest-first listing, time filters and cursors.
bundles = Table(
    "bundles",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=False),
    Column("session", Key, ForeignKey("sessions.key"), nullable=False),
    Column("run", Key, nullable=False),
    Column("statement", Key, ForeignKey("statements.id"), nullable=False),
    Column("verb", String(64), nullable=False),
    Column("aside", Boolean, nullable=False),
    Column("status", String(16), nullable=False),
    Column("code", String(64)),
    Column("exchanges", Integer, nullable=False),
    Column("wordy", Boolean, nullable=False),  # whether any has values, an error or output
    Column("low", BigInteger, nullable=False),  # the lowest number
    Column("first", BigInteger, nullable=False),  # the earliest start
    Column("packed", LargeBinary, nullable=False),
    Column("trace", String(32)),  # claimed by the exchanges themselves; so is the span in it
    Column("span", String(16)),
    Column("details", Text),  # JSON: what the protocol has kept of facts and ends, and a verdict
    Index("ix_bundles_session", "session", "id"),
    Index("ix_bundles_statement", "statement", "id"),
    Index("ix_bundles_run", "run", "id"),
    Index("ix_bundles_verb", "verb", "id"),
)
# Nearly all exchanges end ok: an index of the others is small and makes "what was denied" immediate.
Index(
    "ix_bundles_status",
    bundles.c.status,
    bundles.c.id,
    sqlite_where=bundles.c.status != "ok",
    postgresql_where=bundles.c.status != "ok",
)

# Few claim a trace.
for _claim, *_more in ((runs.c.trace,), (bundles.c.trace, bundles.c.id)):
    _some = _claim.is_not(None)
    Index(f"ix_{_claim.table.name}_trace", _claim, *_more, sqlite_where=_some, postgresql_where=_some)

# A secret, or a kind of sensitive data, in one session: `what` is a secret's fingerprint, else the detector.
# `first` is the first moment; `exchange` and `started` are the number and the start of the exchange then.
sightings = Table(
    "sightings",
    metadata,
    Column("key", Key, primary_key=True, autoincrement=True),
    Column("session", Key, ForeignKey("sessions.key"), nullable=False),
    Column("run", Key, nullable=False),
    Column("what", String(255), nullable=False),
    Column("way", String(16), nullable=False),
    Column("secret", Boolean, nullable=False),
    Column("detector", String(255), nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("exchange", BigInteger, nullable=False),
    Column("started", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("exchanges", BigInteger, nullable=False),
    Column("met", BigInteger, nullable=False),  # values; how many of a secret is not known, and 0
    UniqueConstraint("session", "what", "way"),
    Index("ix_sightings_what", "what", "first"),
    Index("ix_sightings_run", "run", "what"),
    sqlite_autoincrement=True,
)

# One operation that waits, or waited, for people. `digest` is what may use it: see `approvals`.
approvals = Table(
    "approvals",
    metadata,
    Column("key", Key, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("digest", LargeBinary, nullable=False),
    Column("state", String(16), nullable=False),
    Column("run", Key, ForeignKey("runs.key"), nullable=False),  # with session and exchange: who asked last
    Column("session", String(64), nullable=False),
    Column("exchange", BigInteger, nullable=False),
    Column("target", String(255), nullable=False),
    Column("database", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("policy", Text, nullable=False),
    Column("verb", String(64), nullable=False),
    Column("text", Text, nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("by", JSON, nullable=False),  # also in approval_groups, to be joined with
    Column("minimum", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("decided", BigInteger),
    Column("used", BigInteger),
    Index("ix_approvals_digest", "digest", "key"),
    Index("ix_approvals_run", "run", "key"),
    Index("ix_approvals_state", "state", "key"),
    Index("ix_approvals_expires", "expires"),
    sqlite_autoincrement=True,
)
# However many ask at the same instant, there is one approval that may still be used.
Index(
    "uq_approvals_live",
    approvals.c.digest,
    unique=True,
    sqlite_where=approvals.c.state.in_(["pending", "approved"]),
    postgresql_where=approvals.c.state.in_(["pending", "approved"]),
)

approval_groups = Table(
    "approval_groups",
    metadata,
    Column("approval", Key, ForeignKey("approvals.key"), primary_key=True, autoincrement=False),
    Column("group", String(255), primary_key=True),
)

approval_votes = Table(
    "approval_votes",
    metadata,
    Column("approval", Key, ForeignKey("approvals.key"), primary_key=True, autoincrement=False),
    Column("principal", Text, primary_key=True),  # subject@issuer: a person decides once
    Column("approve", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", String(64), nullable=False),
    Column("object", Text, nullable=False),
    Column("detail", JSON, nullable=False),
    Column("salt", LargeBinary),
    Column("leaf", BigInteger),  # index in the ledger; None for counted events, which enter no leaf
    Index("ix_audit_at", "at", "id"),
    sqlite_autoincrement=True,
)

# Recordings that retention deleted: what is left of them. The file of `archive.deletions` has it too.
deletions = Table(
    "deletions",
    metadata,
    Column("session", String(64), primary_key=True),
    Column("run", String(64), nullable=False),
    Column("rule", Text, nullable=False),
    Column("sealed", BigInteger, nullable=False),
    Column("deleted", BigInteger, nullable=False),
    Column("object", Text, nullable=False),  # its container; empty: not known any more
    Column("removed", BigInteger),  # when that was found to be gone
    Index("ix_deletions_run", "run", "session"),
    Index("ix_deletions_object", "object"),
    Index("ix_deletions_removed", "removed"),
)

# What keeps recordings past every rule of retention. The middle is what it is about: see `holds`.
legal_holds = Table(
    "legal_holds",
    metadata,
    Column("key", Key, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("words", Text),
    Column("run", String(64)),
    Column("agent", String(255)),
    Column("principal", Text),
    Column("target", String(255)),
    Column("since", BigInteger),
    Column("until", BigInteger),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("released", BigInteger),
    Column("released_by", Text),
    Column("release_reason", Text),
    Index("ix_legal_holds_released", "released"),
    sqlite_autoincrement=True,
)

# What the archivist indexed last, for those who watch: one row a batch, trimmed to the newest ones.
arrivals = Table(
    "arrivals",
    metadata,
    Column("id", Key, primary_key=True, autoincrement=True),
    Column("items", JSON, nullable=False),  # [[kind, id]...], in order
    sqlite_autoincrement=True,
)

# Sign-ins in the browser, which the gateway itself keeps: the token only as a hash. See `sign_ins`.
sign_ins = Table(
    "sign_ins",
    metadata,
    Column("key", Key, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("digest", LargeBinary, nullable=False),
    Column("provider", String(255), nullable=False),
    Column("terms", LargeBinary, nullable=False),  # the provider's settings then, hashed
    Column("subject", Text, nullable=False),
    Column("groups", JSON, nullable=False),
    Column("principal", Text, nullable=False),  # subject@provider, what people filter by
    Column("use", String(16), nullable=False),
    Column("address", Text, nullable=False),
    Column("signed_in", BigInteger),  # at the provider; None: it didn't say
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("used", BigInteger, nullable=False),  # to within a minute
    Column("ended", BigInteger),
    Column("reason", Text),
    Column("named", JSON(none_as_null=True)),  # how a SAML provider names the person, for a logout
    Column("name_digest", LargeBinary),  # provider and name, hashed
    Index("ix_sign_ins_principal", "principal", "key"),
    Index("ix_sign_ins_name_digest", "name_digest"),
    Index("ix_sign_ins_expires", "expires"),
    sqlite_autoincrement=True,
)

# Messages of SAML providers that were taken, by a hash of sender and identifier: each is good once.
sign_in_messages = Table(
    "sign_in_messages",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("until", BigInteger, nullable=False),
    Index("ix_sign_in_messages_until", "until"),
)
