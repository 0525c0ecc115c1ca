"""The ledger's tables: everything that must be transacted. One definition for SQLite and PostgreSQL.

Moments are Unix milliseconds in BIGINT columns named ``…_at``; money is BIGINT ``…_micros`` beside a currency code. The ids
of notices, conversions and postbacks are texts that sort by time (``record_id``). CHECK constraints tie each state to its dates.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id() -> Column[int]:
    return Column("id", Integer, primary_key=True, autoincrement=True)


# What the user sets up ------------------------------------------------------------------------------------------------

settings = Table(
    "settings",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", JSON, nullable=False),
)

users = Table(
    "users",
    metadata,
    _id(),
    Column("name", String(100), nullable=False),
    Column("name_key", String(200), nullable=False, unique=True),  # campaign.user.name_key: one name in any case
    Column("role", String(16), nullable=False),
    Column("password_hash", String(200)),  # Argon2id with its parameters; NULL: none set yet
    Column("time_zone", String(64), nullable=False, server_default=""),  # empty: that of the instance
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("disabled_at", BigInteger),
    CheckConstraint("role IN ('owner', 'admin', 'worker', 'viewer')", name="role_known"),
)

tokens = Table(
    "tokens",
    metadata,
    _id(),
    Column("name", String(200), nullable=False),
    Column("secret_hash", String(64), nullable=False, unique=True),
    Column("role", String(16), nullable=False, server_default="owner"),
    Column("user_id", ForeignKey("users.id")),  # who made it: it can never do more than he; NULL: made on the machine
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
    Column("revoked_at", BigInteger),
    CheckConstraint("role IN ('owner', 'admin', 'worker', 'viewer')", name="role_known"),
)

sessions = Table(  # of the panel; one that was ended is deleted
    "sessions",
    metadata,
    _id(),
    Column("secret_hash", String(64), nullable=False, unique=True),
    Column("user_id", ForeignKey("users.id"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_seen_at", BigInteger, nullable=False),  # to the minute
    Column("expires_at", BigInteger, nullable=False),
    Column("address", String(64), nullable=False),
    Column("useragent", String(400), nullable=False),
)
Index("ix_sessions_user_id", sessions.c.user_id)

sign_in_links = Table(  # each opens the setting of a password once
    "sign_in_links",
    metadata,
    Column("secret_hash", String(64), primary_key=True),
    Column("user_id", ForeignKey("users.id")),  # NULL: for the first owner, who is not there yet
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
)

changes_log = Table(  # who changed what in the set-up and what was done by hand; nothing is ever deleted here
    "changes_log",
    metadata,
    _id(),
    Column("at", BigInteger, nullable=False),
    Column("actor", String(200), nullable=False),  # his name then
    Column("user_id", Integer, nullable=False),  # 0: a command, or a token that is nobody's
    Column("via", String(16), nullable=False),
    Column("action", String(32), nullable=False),
    Column("noun", String(32), nullable=False),
    Column("record_id", String(300), nullable=False),
    Column("before", LargeBinary),  # the record's view as JSON, secrets masked; NULL: there was none
    Column("after", LargeBinary),
)
Index("ix_changes_log_record", changes_log.c.noun, changes_log.c.record_id, changes_log.c.id)
Index("ix_changes_log_user_id", changes_log.c.user_id, changes_log.c.id)

traffic_sources = Table(
    "traffic_sources",
    metadata,
    _id(),
    Column("name", String(200), nullable=False, unique=True),
    Column("preset", String(100), nullable=False, server_default=""),
    Column("cost_model", String(16), nullable=False, server_default="cpc"),
    Column("cost_currency", String(3), nullable=False, server_default=""),
    Column("used_numbers", JSON, nullable=False, server_default="[]"),  # of its V rows, of removed ones too
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("archived_at", BigInteger),
)

source_parameters = Table(
    "source_parameters",
    metadata,
    Column("source_id", ForeignKey("traffic_sources.id"), nullable=False),
    Column("number", Integer, nullable=False),  # -1: external_id, 0: cost, 1…30: V1…V30; never changes
    Column("parameter", String(200), nullable=False),
    Column("placeholder", String(1000), nullable=False, server_default=""),
    Column("name", String(200), nullable=False, server_default=""),
    Column("tracked", Boolean, nullable=False),
    PrimaryKeyConstraint("source_id", "number"),
    UniqueConstraint("source_id", "parameter"),
    CheckConstraint("number BETWEEN -1 AND 30", name="number_in_range"),
)

networks = Table(
    "networks",
    metadata,
    _id(),
    Column("name", String(200), nullable=False, unique=True),
    Column("preset", String(100), nullable=False, server_default=""),
    Column("click_id_parameter", String(200), nullable=False, server_default=""),
    Column("offer_url_template", Text, nullable=False, server_default=""),
    Column("postback_parameters", JSON, nullable=False),  # {our parameter: the network's macro}
    Column("currency", String(3), nullable=False, server_default=""),
    Column("token", String(200), nullable=False, server_default=""),
    Column("addresses", JSON, nullable=False),  # list of CIDR texts; empty: any
    Column("refuse_duplicates", Boolean, nullable=False),
    Column("test_only", Boolean, nullable=False),
    Column("click_lifetime_days", Integer, nullable=False, server_default="90"),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("archived_at", BigInteger),
)

offers = Table(
    "offers",
    metadata,
    _id(),
    Column("name", String(200), nullable=False),
    Column("network_id", ForeignKey("networks.id")),
    Column("url", Text, nullable=False),
    Column("payout_micros", BigInteger),  # a fixed payout; NULL: as the notice says
    Column("currency", String(3), nullable=False, server_default=""),
    Column("tags", JSON, nullable=False, server_default="[]"),  # list of texts
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("archived_at", BigInteger),
)

campaigns = Table(
    "campaigns",
    metadata,
    _id(),
    Column("key", String(6), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("source_id", ForeignKey("traffic_sources.id"), nullable=False),
    Column("domain", String(253), nullable=False, server_default=""),
    Column("active", Boolean, nullable=False),
    Column("fallback_url", Text, nullable=False, server_default=""),
    Column("cost_micros", BigInteger),  # a fixed cost per click; NULL: as the link's cost parameter says
    Column("source_rules_off", Boolean, nullable=False),
    Column("tags", JSON, nullable=False, server_default="[]"),  # list of texts
    Column("notes", Text, nullable=False, server_default=""),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("archived_at", BigInteger),
)

campaign_offers = Table(
    "campaign_offers",
    metadata,
    Column("campaign_id", ForeignKey("campaigns.id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("offer_id", ForeignKey("offers.id"), nullable=False),
    Column("weight", Integer, nullable=False),
    PrimaryKeyConstraint("campaign_id", "position"),
    UniqueConstraint("campaign_id", "offer_id"),
    CheckConstraint("weight >= 0", name="weight_not_negative"),
)

statuses = Table(
    "statuses",
    metadata,
    Column("key", String(32), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("counts_as", String(16), nullable=False),
    Column("position", Integer, nullable=False),
    CheckConstraint("counts_as IN ('pending', 'confirmed', 'rejected')", name="counts_as_known"),
)

status_words = Table(
    "status_words",
    metadata,
    Column("word", String(200), primary_key=True),  # trimmed, lower case
    Column("status_key", ForeignKey("statuses.key"), nullable=False),
)

rates = Table(
    "rates",
    metadata,
    Column("to_currency", String(3), nullable=False),  # that of the instance
    Column("currency", String(3), nullable=False),
    Column("day", Integer, nullable=False),  # days since 1970-01-01, UTC; holds until the next day that has one
    Column("rate_e12", BigInteger, nullable=False),  # what one unit was worth, in millionths of millionths
    Column("source", String(200), nullable=False, server_default=""),  # where the user has it from
    PrimaryKeyConstraint("to_currency", "currency", "day"),
    CheckConstraint("rate_e12 > 0", name="rate_positive"),
)

postback_rules = Table(
    "postback_rules",
    metadata,
    _id(),
    Column("name", String(200), nullable=False),
    Column("source_id", ForeignKey("traffic_sources.id")),
    Column("campaign_id", ForeignKey("campaigns.id")),  # neither: the whole instance
    Column("active", Boolean, nullable=False),
    Column("request", JSON, nullable=False),  # postback.rule.RequestTemplate
    Column("conditions", JSON, nullable=False),  # postback.rule.Conditions
    Column("success", JSON, nullable=False),  # postback.rule.Success
    Column("schedule", JSON, nullable=False),  # seconds before each attempt after the first; JSON's null: the default
    Column("counted", BigInteger, nullable=False, server_default="0"),  # conversions that its share was counted over
    Column("paused_at", BigInteger),  # when a receiver's 410 paused it: what it owes waits
    Column("probing_at", BigInteger),  # when it was resumed, until the one that is let through first is answered
    Column("probe_id", String(26)),  # the postback that was let through
    Column("request_changed_at", BigInteger),  # what was owed before was built from another request
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("archived_at", BigInteger),
    CheckConstraint("source_id IS NULL OR campaign_id IS NULL", name="one_owner"),
    CheckConstraint("paused_at IS NULL OR probing_at IS NULL", name="paused_or_probing"),
    CheckConstraint("probe_id IS NULL OR probing_at IS NOT NULL", name="probe_while_probing"),
)

# What happens ---------------------------------------------------------------------------------------------------------

settled_segments = Table(
    "settled_segments",
    metadata,
    Column("segment", String(200), primary_key=True),
    Column("settled_at", BigInteger, nullable=False),
)

notices = Table(
    "notices",
    metadata,
    Column("notice_id", String(26), primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("door", String(8), nullable=False),
    Column("raw", LargeBinary, nullable=False),  # conversion.notice.RawNotice as JSON
    Column("click_id", String(26)),
    Column("network_id", Integer),
    Column("campaign_id", Integer),
    Column("status_word", String(200), nullable=False, server_default=""),
    Column("outcome", String(16), nullable=False),
    Column("reason", String(32)),
    Column("flags", String(400), nullable=False, server_default=""),
    Column("conversion_id", String(26)),
    Column("version", Integer),  # of the conversion that this notice made
    Column("look_again_at", BigInteger),
    Column("runs", Integer, nullable=False, server_default="1"),
    Column("run_at", BigInteger),  # when it was run again the last time
    CheckConstraint("outcome IN ('waiting', 'new', 'changed', 'repeated', 'refused')", name="outcome_known"),
    CheckConstraint("(outcome = 'refused') = (reason IS NOT NULL)", name="refused_has_reason"),
    CheckConstraint("(outcome = 'waiting') = (look_again_at IS NOT NULL)", name="waiting_has_moment"),
    CheckConstraint(
        "(outcome IN ('new', 'changed', 'repeated')) = (conversion_id IS NOT NULL)", name="registered_has_conversion"
    ),
)
Index("ix_notices_click_id", notices.c.click_id)
Index(
    "ix_notices_waiting",
    notices.c.look_again_at,
    sqlite_where=text("outcome = 'waiting'"),
    postgresql_where=text("outcome = 'waiting'"),
)

conversions = Table(
    "conversions",
    metadata,
    Column("conversion_id", String(26), primary_key=True),
    Column("click_id", String(26), nullable=False),
    Column("txid", String(500), nullable=False),
    Column("campaign_id", Integer, nullable=False),
    Column("source_id", Integer, nullable=False),
    Column("offer_id", Integer, nullable=False),
    Column("network_id", Integer, nullable=False),
    Column("status_key", String(32), nullable=False),
    Column(
        "counts_as", String(16), nullable=False
    ),  # of the status when the conversion came under it: so it was counted
    Column("status_word", String(200), nullable=False),  # as the network sent it
    Column("payout_micros", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("payout_text", String(200), nullable=False),  # as the network sent it
    Column("latest_turn", String(41), nullable=False),  # conversion.notice.turn_of its latest notice
    Column("status_turn", String(41), nullable=False),  # conversion.notice.turn_of the notice that the status is from
    Column("payout_turn", String(41), nullable=False),  # of the notice that the payout is from; empty: none named one
    Column("flags", String(400), nullable=False),
    Column("first_of_click", Boolean, nullable=False),
    Column("test", Boolean, nullable=False),
    Column("converted_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Column(
        "click", LargeBinary, nullable=False
    ),  # click.click.Click as JSON, so that macros outlive the click's retention
    Column("parameters", LargeBinary, nullable=False),  # conversion.notice's further parameters as JSON
    UniqueConstraint("click_id", "txid"),
    CheckConstraint("version >= 1", name="version_from_one"),
)
Index("ix_conversions_created_at", conversions.c.created_at)
Index("ix_conversions_txid", conversions.c.txid)

conversion_changes = Table(
    "conversion_changes",
    metadata,
    _id(),  # in the order in which they were written, so that the audit can go on where it was
    Column("conversion_id", ForeignKey("conversions.conversion_id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("notice_id", ForeignKey("notices.notice_id"), nullable=False),
    Column("before", LargeBinary),  # conversion.conversion.Conversion as JSON; NULL for a new one
    Column("after", LargeBinary, nullable=False),
    Column(
        "rules_decided", Integer
    ),  # so many rows of postbacks it must have; NULL: never decided, which the audit tells
    UniqueConstraint("conversion_id", "version"),
)

postbacks = Table(
    "postbacks",
    metadata,
    Column("postback_id", String(26), primary_key=True),
    Column("conversion_id", String(26), nullable=False),
    Column("version", Integer, nullable=False),
    Column("rule_id", Integer, nullable=False),
    Column("resend", Integer, nullable=False),  # 0: the original; n: the nth time it was asked for again
    Column("original_id", String(26)),  # of a resend: the original's postback_id, which its request goes on naming
    Column("bulk_job_id", String(26)),  # the job that asked for it, if one did
    Column("click_id", String(26), nullable=False),
    Column("campaign_id", Integer, nullable=False),
    Column("source_id", Integer, nullable=False),
    Column("trigger", String(16), nullable=False),  # new, status, payout, resend
    Column("state", String(16), nullable=False),
    Column("reason", String(32)),
    Column("findings", LargeBinary, nullable=False),  # postback.owing.Finding list as JSON
    Column("request", LargeBinary),  # postback.rule.Request as JSON; NULL when skipped
    Column("lane", String(300), nullable=False),  # host:port of the receiver
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", BigInteger),
    Column("held_from", BigInteger),  # when it was due, and its rule or an earlier one held it back; NULL: nothing did
    Column("lease_until", BigInteger),
    Column("lease_token", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    UniqueConstraint("conversion_id", "version", "rule_id", "resend"),
    CheckConstraint("(resend = 0) = (original_id IS NULL)", name="resend_has_original"),
    CheckConstraint(
        "state IN ('waiting', 'sending', 'delivered', 'failed', 'skipped', 'cancelled')", name="state_known"
    ),
    CheckConstraint("(state = 'waiting') = (next_attempt_at IS NOT NULL)", name="waiting_has_moment"),
    CheckConstraint("held_from IS NULL OR state = 'waiting'", name="held_is_waiting"),
    CheckConstraint("(state = 'sending') = (lease_until IS NOT NULL)", name="sending_has_lease"),
    CheckConstraint("(state IN ('waiting', 'sending')) = (finished_at IS NULL)", name="final_has_moment"),
    CheckConstraint("(state = 'skipped') = (reason IS NOT NULL)", name="skipped_has_reason"),
    CheckConstraint("(state = 'skipped') OR (request IS NOT NULL)", name="owed_has_request"),
)
Index(  # each lane's queue: it alone answers which lanes wait, until when, and who is next
    "ix_postbacks_due",
    postbacks.c.lane,
    postbacks.c.next_attempt_at,
    postbacks.c.postback_id,
    sqlite_where=text("state = 'waiting'"),
    postgresql_where=text("state = 'waiting'"),
)
Index(
    "ix_postbacks_leases",
    postbacks.c.lease_until,
    sqlite_where=text("state = 'sending'"),
    postgresql_where=text("state = 'sending'"),
)
Index(  # to be found when what holds them back ends
    "ix_postbacks_held",
    postbacks.c.rule_id,
    postbacks.c.conversion_id,
    sqlite_where=text("held_from IS NOT NULL"),
    postgresql_where=text("held_from IS NOT NULL"),
)
Index("ix_postbacks_click_id", postbacks.c.click_id)
Index(
    "uq_postbacks_bulk_job",  # a job asks for each original once, whatever happens
    postbacks.c.bulk_job_id,
    postbacks.c.original_id,
    unique=True,
    sqlite_where=text("bulk_job_id IS NOT NULL"),
    postgresql_where=text("bulk_job_id IS NOT NULL"),
)

lanes = Table(  # what is kept of a receiver: a lane without a row has the usual terms and is not paused
    "lanes",
    metadata,
    Column("lane", String(300), primary_key=True),
    Column("connections", Integer),  # requests under way at once; NULL: the usual
    Column("per_minute", Integer),  # requests a minute; NULL: no limit
    Column("opened_at", BigInteger),  # since when it is paused; NULL: it is not
    Column("probe_at", BigInteger),
    Column("probes", Integer, nullable=False),  # failed since it was paused
    Column("why", String(500), nullable=False),
    Column("held_until", BigInteger),  # until when it asked us to wait (Retry-After); NULL: it did not
    Column("asked", String(8)),  # postback.lanes.Asked: what somebody wants of it, until delivery has done it
    CheckConstraint("(opened_at IS NULL) = (probe_at IS NULL)", name="paused_has_probe"),
    CheckConstraint("asked IS NULL OR asked IN ('probe', 'resume')", name="asked_known"),
    CheckConstraint("asked IS NULL OR opened_at IS NOT NULL OR held_until IS NOT NULL", name="asked_while_held"),
    CheckConstraint("connections IS NULL OR connections >= 1", name="connections_from_one"),
    CheckConstraint("per_minute IS NULL OR per_minute >= 1", name="per_minute_from_one"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("postback_id", ForeignKey("postbacks.postback_id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("started_at", BigInteger, nullable=False),  # written before the request leaves
    Column("finished_at", BigInteger),
    Column("result", String(16)),  # postback.retry.Result: delivered, again, failed, unknown; NULL while under way
    Column("status_code", Integer),
    Column("answer", LargeBinary),  # first bytes of the body
    Column("error", String(500)),
    Column("duration_ms", Integer),
    PrimaryKeyConstraint("postback_id", "number"),
    CheckConstraint("(result IS NULL) = (finished_at IS NULL)", name="finished_has_result"),
)

fact_outbox = Table(
    "fact_outbox",
    metadata,
    _id(),
    Column("fact", LargeBinary, nullable=False),  # one NDJSON line for the facts
    sqlite_autoincrement=True,  # an id is never used again: the facts remember the last one they took
)

# Work that the user asked for -----------------------------------------------------------------------------------------

bulk_jobs = Table(
    "bulk_jobs",
    metadata,
    Column("bulk_job_id", String(26), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column(
        "asked", LargeBinary, nullable=False
    ),  # what for, as JSON: tracking.resending.Asked, tracking.rerunning.Asked
    Column("state", String(16), nullable=False),
    Column("last_id", String(26), nullable=False),  # the newest record that it covers
    Column("done_id", String(26), nullable=False),  # all up to this one are done; empty: none yet
    Column("matched", Integer, nullable=False),  # when it was asked for
    Column("done", Integer, nullable=False),
    Column("made", Integer, nullable=False),  # postbacks made, or notices that came to something new
    Column("left_out", LargeBinary, nullable=False),  # {why: how many} as JSON
    Column("created_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    CheckConstraint("kind IN ('resend', 'rerun', 'cancel')", name="kind_known"),
    CheckConstraint("state IN ('running', 'finished', 'stopped')", name="state_known"),
    CheckConstraint("(state = 'running') = (finished_at IS NULL)", name="ended_has_moment"),
)
Index(
    "ix_bulk_jobs_running",
    bulk_jobs.c.bulk_job_id,
    sqlite_where=text("state = 'running'"),
    postgresql_where=text("state = 'running'"),
)

kept_answers = Table(
    "kept_answers",
    metadata,
    Column("key", String(300), primary_key=True),  # the door's method and path, and the caller's Idempotency-Key
    Column("question", String(64), nullable=False),  # digest of the body that it was sent with
    Column("status", Integer, nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)
Index("ix_kept_answers_created_at", kept_answers.c.created_at)

uploads = Table(
    "uploads",
    metadata,
    Column("upload_id", String(26), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("format", String(16), nullable=False),  # conversion.upload.Format
    Column("preview", Boolean, nullable=False),
    Column("postbacks", Boolean, nullable=False),  # false: held back, as by disable_postback=1 in each line
    Column("state", String(16), nullable=False),
    Column("octets", BigInteger, nullable=False),
    Column("octets_read", BigInteger, nullable=False),  # up to here its lines are taken; 0: none yet
    Column("next_line", BigInteger, nullable=False),  # number of the line that begins there
    Column("lines", BigInteger, nullable=False),  # taken, without empty ones
    Column("counts", LargeBinary, nullable=False),  # {store.ledger.uploads.Verdict: lines} as JSON
    Column("reasons", LargeBinary, nullable=False),  # {why refused or unreadable: lines} as JSON
    Column("created_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("error", String(500)),
    CheckConstraint("state IN ('waiting', 'running', 'finished', 'failed', 'cancelled')", name="state_known"),
    CheckConstraint("(state IN ('waiting', 'running')) = (finished_at IS NULL)", name="ended_has_moment"),
    CheckConstraint("(state = 'failed') = (error IS NOT NULL)", name="failed_has_error"),
    CheckConstraint("octets_read BETWEEN 0 AND octets", name="read_within_file"),
)
Index(
    "ix_uploads_unfinished",
    uploads.c.upload_id,
    sqlite_where=text("finished_at IS NULL"),
    postgresql_where=text("finished_at IS NULL"),
)
