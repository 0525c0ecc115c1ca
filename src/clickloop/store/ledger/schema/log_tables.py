"""Tables of events: notices, conversions, postbacks and their attempts. See ``tables``."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
    func,
    text,
)

from clickloop.postback.state import STORED
from clickloop.store.ledger.schema.metadata import metadata, number_column
from clickloop.store.ledger.schema.sealing import SealedBytes

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
    Column("channel", String(8), nullable=False),
    Column("raw", SealedBytes, nullable=False),  # conversion.notice.RawNotice as JSON
    Column("click_id", String(26)),
    Column("network_id", Integer),
    Column("campaign_id", Integer),
    Column("status_word", String(200), nullable=False, server_default=""),
    Column("outcome", String(16), nullable=False),
    Column("reason", String(32)),
    Column("flags", String(400), nullable=False, server_default=""),
    Column("conversion_id", String(26)),
    Column("version", Integer),  # of the conversion after this notice
    Column("look_again_at", BigInteger),
    Column("runs", Integer, nullable=False, server_default="1"),
    Column("run_at", BigInteger),  # when it was last reprocessed
    Column("first_look_at", BigInteger),  # when the core first looked for its click and did not find it
    CheckConstraint("outcome IN ('waiting', 'new', 'changed', 'repeated', 'refused')", name="outcome_known"),
    CheckConstraint("(outcome = 'refused') = (reason IS NOT NULL)", name="refused_has_reason"),
    CheckConstraint("(outcome = 'waiting') = (look_again_at IS NOT NULL)", name="waiting_has_moment"),
    CheckConstraint(
        "(outcome IN ('new', 'changed', 'repeated')) = (conversion_id IS NOT NULL)", name="registered_has_conversion"
    ),
)
Index("ix_notices_click_id", notices.c.click_id)
Index("ix_notices_campaign_id", notices.c.campaign_id, notices.c.notice_id)  # each log by each filter, newest first
Index("ix_notices_network_id", notices.c.network_id, notices.c.notice_id)
Index("ix_notices_conversion_id", notices.c.conversion_id, notices.c.notice_id)
Index(
    "ix_notices_reason",
    notices.c.reason,
    notices.c.notice_id,
    sqlite_where=text("reason IS NOT NULL"),
    postgresql_where=text("reason IS NOT NULL"),
)
Index(
    "ix_notices_flagged",
    notices.c.notice_id,
    sqlite_where=text("flags <> ''"),
    postgresql_where=text("flags <> ''"),
)
Index("ix_notices_status_word", func.lower(func.trim(notices.c.status_word)), notices.c.notice_id)
Index(
    "ix_notices_waiting",
    notices.c.look_again_at,
    sqlite_where=text("outcome = 'waiting'"),
    postgresql_where=text("outcome = 'waiting'"),
)
Index(
    "ix_notices_waiting_newest",
    notices.c.notice_id,
    sqlite_where=text("outcome = 'waiting'"),
    postgresql_where=text("outcome = 'waiting'"),
)
Index(
    "ix_notices_waiting_click",
    notices.c.click_id,
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
    # Of the status when the conversion got it, which is how the conversion was counted.
    Column("counts_as", String(16), nullable=False),
    Column("status_word", String(200), nullable=False),  # as the network sent it
    Column("payout_micros", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("payout_text", String(200), nullable=False),  # as the network sent it
    Column("latest_order", String(41), nullable=False),  # arrival order of its latest notice
    Column("status_order", String(41), nullable=False),  # arrival order of the notice that set the status
    Column(
        "payout_order", String(41), nullable=False
    ),  # of the notice that set the payout; empty if no notice named one
    Column("flags", String(400), nullable=False),
    Column("first_of_click", Boolean, nullable=False),
    Column("test", Boolean, nullable=False),
    Column("converted_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    # click.click.Click as JSON, so that macros outlive the click's retention.
    Column("click", LargeBinary, nullable=False),
    Column("parameters", LargeBinary, nullable=False),  # conversion.conversion.Parameters as JSON
    Column("row_check", BigInteger, nullable=False, server_default="0"),  # row_checks.conversion_check
    Column("currency_order", String(41), nullable=False, server_default=""),  # of the notice that named the currency
    UniqueConstraint("click_id", "txid"),
    CheckConstraint("version >= 1", name="version_from_one"),
)
Index("ix_conversions_txid", conversions.c.txid)
Index(  # a click may have thousands of conversions
    "ix_conversions_first_of_click",
    conversions.c.click_id,
    sqlite_where=text("first_of_click = 1"),
    postgresql_where=text("first_of_click"),
)
Index("ix_conversions_campaign_id", conversions.c.campaign_id, conversions.c.conversion_id)
Index("ix_conversions_source_id", conversions.c.source_id, conversions.c.conversion_id)
Index("ix_conversions_offer_id", conversions.c.offer_id, conversions.c.conversion_id)
Index("ix_conversions_network_id", conversions.c.network_id, conversions.c.conversion_id)
Index("ix_conversions_status_key", conversions.c.status_key, conversions.c.conversion_id)
Index(
    "ix_conversions_flagged",
    conversions.c.conversion_id,
    sqlite_where=text("flags <> ''"),
    postgresql_where=text("flags <> ''"),
)

Index(  # has every column that counting towards an offer's cap compares
    "ix_conversions_cap",
    conversions.c.offer_id,
    conversions.c.converted_at,
    conversions.c.counts_as,
    conversions.c.status_key,
    conversions.c.test,
)

conversion_changes = Table(
    "conversion_changes",
    metadata,
    number_column(),  # ascending in write order, so that the audit can resume where it stopped
    Column("conversion_id", ForeignKey("conversions.conversion_id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("notice_id", ForeignKey("notices.notice_id"), nullable=False),
    Column("before", LargeBinary),  # conversion.conversion.Conversion as JSON; NULL for a new one
    Column("after", LargeBinary, nullable=False),
    Column("rules_decided", Integer),  # number of postbacks it must have; NULL: never decided, which the audit reports
    UniqueConstraint("conversion_id", "version"),
)

postbacks = Table(
    "postbacks",
    metadata,
    Column("postback_id", String(26), primary_key=True),
    Column("conversion_id", String(26), nullable=False),
    Column("version", Integer, nullable=False),
    Column("rule_id", Integer, nullable=False),
    Column("resend", Integer, nullable=False),  # 0: the original; n: its nth resend
    Column("original_id", String(26)),  # of a resend: the original's postback_id, which its request still names
    Column("bulk_job_id", String(26)),  # the job that created it, if any
    Column("click_id", String(26), nullable=False),
    Column("campaign_id", Integer, nullable=False),
    Column("source_id", Integer, nullable=False),
    Column("trigger", String(16), nullable=False),  # new, status, payout, details, resend
    Column("state", String(16), nullable=False),
    Column("reason", String(32)),
    Column("findings", LargeBinary, nullable=False),  # list of postback.due.Finding as JSON
    Column("request", SealedBytes),  # postback.rule.Request as JSON; NULL when skipped
    Column("receiver", String(300), nullable=False),  # host:port; empty when skipped
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", BigInteger),
    Column(
        "held_from", BigInteger
    ),  # when it was due before its rule or an earlier postback deferred it; NULL: not deferred
    Column("lease_until", BigInteger),
    Column("lease_token", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("row_check", BigInteger, nullable=False, server_default="0"),  # row_checks.postback_check
    UniqueConstraint("conversion_id", "version", "rule_id", "resend"),
    CheckConstraint("(resend = 0) = (original_id IS NULL)", name="resend_has_original"),
    CheckConstraint(f"state IN {tuple(map(str, STORED))}", name="state_known"),
    CheckConstraint("(state = 'waiting') = (next_attempt_at IS NOT NULL)", name="waiting_has_moment"),
    CheckConstraint("held_from IS NULL OR state = 'waiting'", name="held_is_waiting"),
    CheckConstraint("(state = 'sending') = (lease_until IS NOT NULL)", name="sending_has_lease"),
    CheckConstraint("(state IN ('waiting', 'sending')) = (finished_at IS NULL)", name="final_has_moment"),
    CheckConstraint("(state = 'skipped') = (reason IS NOT NULL)", name="skipped_has_reason"),
    CheckConstraint("(state = 'skipped') OR (request IS NOT NULL)", name="owed_has_request"),
)
Index(  # each receiver's queue: alone it answers which receivers have work, from when, and which postback is next
    "ix_postbacks_due",
    postbacks.c.receiver,
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
Index(  # finds them when the reason for deferring them ends
    "ix_postbacks_held",
    postbacks.c.rule_id,
    postbacks.c.conversion_id,
    sqlite_where=text("held_from IS NOT NULL"),
    postgresql_where=text("held_from IS NOT NULL"),
)
Index("ix_postbacks_click_id", postbacks.c.click_id)
Index("ix_postbacks_campaign_id", postbacks.c.campaign_id, postbacks.c.postback_id)
Index("ix_postbacks_source_id", postbacks.c.source_id, postbacks.c.postback_id)
Index("ix_postbacks_rule_id", postbacks.c.rule_id, postbacks.c.postback_id)
Index(
    "ix_postbacks_reason",
    postbacks.c.reason,
    postbacks.c.postback_id,
    sqlite_where=text("reason IS NOT NULL"),
    postgresql_where=text("reason IS NOT NULL"),
)
Index(
    "ix_postbacks_ended_badly",
    postbacks.c.state,
    postbacks.c.postback_id,
    sqlite_where=text("state IN ('failed', 'cancelled')"),
    postgresql_where=text("state IN ('failed', 'cancelled')"),
)
Index(
    "ix_postbacks_unfinished",
    postbacks.c.postback_id,
    sqlite_where=text("state IN ('waiting', 'sending')"),
    postgresql_where=text("state IN ('waiting', 'sending')"),
)
Index(
    "uq_postbacks_bulk_job",  # a job resends each original once, whatever happens
    postbacks.c.bulk_job_id,
    postbacks.c.original_id,
    unique=True,
    sqlite_where=text("bulk_job_id IS NOT NULL"),
    postgresql_where=text("bulk_job_id IS NOT NULL"),
)

receivers = Table(  # a receiver without a row has the default limits and is not paused
    "receivers",
    metadata,
    Column("receiver", String(300), primary_key=True),
    Column("connections", Integer),  # maximum number of concurrent requests; NULL: the default
    Column("per_minute", Integer),  # maximum number of requests a minute; NULL: no limit
    Column("opened_at", BigInteger),  # when it was paused; NULL: it is not
    Column("probe_at", BigInteger),
    Column("probes", Integer, nullable=False),  # failed probes since it was paused
    Column("why", String(500), nullable=False),
    Column("held_until", BigInteger),  # until when it asked us to wait (Retry-After); NULL: not at all
    Column("command", String(8)),  # postback.delivery.receiver_queue.ReceiverCommand, until delivery has carried it out
    CheckConstraint("(opened_at IS NULL) = (probe_at IS NULL)", name="paused_has_probe"),
    CheckConstraint("command IS NULL OR command IN ('probe', 'resume')", name="command_known"),
    CheckConstraint("command IS NULL OR opened_at IS NOT NULL OR held_until IS NOT NULL", name="command_while_held"),
    CheckConstraint("connections IS NULL OR connections >= 1", name="connections_from_one"),
    CheckConstraint("per_minute IS NULL OR per_minute >= 1", name="per_minute_from_one"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("postback_id", ForeignKey("postbacks.postback_id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("started_at", BigInteger, nullable=False),  # written before the request is sent
    Column("finished_at", BigInteger),
    Column("result", String(16)),  # postback.retry.Result; NULL while it is being sent
    Column("status_code", Integer),
    Column("answer", LargeBinary),  # first bytes of the response body
    Column("error", String(500)),
    Column("duration_ms", Integer),
    PrimaryKeyConstraint("postback_id", "number"),
    CheckConstraint("(result IS NULL) = (finished_at IS NULL)", name="finished_has_result"),
)

fact_outbox = Table(
    "fact_outbox",
    metadata,
    number_column(),
    Column("fact", LargeBinary, nullable=False),  # one JSON object, a row for the facts
    sqlite_autoincrement=True,  # ids are never reused: the facts remember which ones they have loaded
)
