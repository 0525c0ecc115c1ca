"""Creates everything, with the statuses that every ledger begins with."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_STATUSES = (
    ("hold", "Hold", "pending"),
    ("sale", "Sale", "confirmed"),
    ("rejected", "Rejected", "rejected"),
    ("other", "Other", "pending"),
)
_WORDS = {
    "hold": (
        "hold holded lead pending new wait waiting open processing in_progress on_hold review registration reg signup "
        "install trial"
    ),
    "sale": (
        "sale sold approved approve confirmed confirm accepted accept complete completed success successful paid "
        "payout payable conversion converted deposit dep ftd purchase order closed ok valid"
    ),
    "rejected": (
        "rejected reject declined decline denied deny cancelled canceled cancel trash trashed fraud invalid spam "
        "duplicate double void refused refuse refund refunded chargeback reversed failed fail error unapproved "
        "disapproved"
    ),
}


def upgrade() -> None:
    """Creates the tables of an empty ledger and fills in the statuses."""
    _create_access()
    _create_setup()
    _create_happenings()
    _create_postbacks()
    _create_log_indexes()
    _create_work()
    _create_uploads()
    _create_exports()
    _insert_statuses()


def _insert_statuses() -> None:
    statuses = sa.table("statuses", *map(sa.column, ("key", "name", "counts_as", "position")))
    rows = [
        {"key": key, "name": name, "counts_as": counts_as, "position": at}
        for at, (key, name, counts_as) in enumerate(_STATUSES)
    ]
    op.bulk_insert(statuses, rows)
    words = sa.table("status_words", *map(sa.column, ("word", "status_key")))
    op.bulk_insert(
        words,
        [{"word": word, "status_key": key} for key, words_of_key in _WORDS.items() for word in words_of_key.split()],
    )


def _create_access() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("name_key", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=True),
        sa.Column("time_zone", sa.String(length=64), server_default="", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("disabled_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("role IN ('owner', 'admin', 'worker', 'viewer')", name=op.f("ck_users_role_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("name_key", name=op.f("uq_users_name_key")),
    )
    op.create_table(
        "tokens",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), server_default="owner", nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("role IN ('owner', 'admin', 'worker', 'viewer')", name=op.f("ck_tokens_role_known")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_tokens_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tokens")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_tokens_secret_hash")),
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("useragent", sa.String(length=400), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sessions_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_sessions_secret_hash")),
    )
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"], unique=False)
    op.create_table(
        "sign_in_links",
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sign_in_links_user_id_users")),
        sa.PrimaryKeyConstraint("secret_hash", name=op.f("pk_sign_in_links")),
    )
    op.create_table(
        "changes_log",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("via", sa.String(length=16), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("noun", sa.String(length=32), nullable=False),
        sa.Column("record_id", sa.String(length=300), nullable=False),
        sa.Column("before", sa.LargeBinary(), nullable=True),
        sa.Column("after", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_changes_log")),
    )
    op.create_index("ix_changes_log_record", "changes_log", ["noun", "record_id", "id"], unique=False)
    op.create_index("ix_changes_log_user_id", "changes_log", ["user_id", "id"], unique=False)


def _create_setup() -> None:
    op.create_table(
        "settings",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_settings")),
    )
    op.create_table(
        "traffic_sources",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("preset", sa.String(length=100), server_default="", nullable=False),
        sa.Column("cost_model", sa.String(length=16), server_default="cpc", nullable=False),
        sa.Column("cost_currency", sa.String(length=3), server_default="", nullable=False),
        sa.Column("used_numbers", sa.JSON(), server_default="[]", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_traffic_sources")),
        sa.UniqueConstraint("name", name=op.f("uq_traffic_sources_name")),
    )
    op.create_table(
        "source_parameters",
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("parameter", sa.String(length=200), nullable=False),
        sa.Column("placeholder", sa.String(length=1000), server_default="", nullable=False),
        sa.Column("name", sa.String(length=200), server_default="", nullable=False),
        sa.Column("tracked", sa.Boolean(), nullable=False),
        sa.CheckConstraint("number BETWEEN -1 AND 30", name=op.f("ck_source_parameters_number_in_range")),
        sa.ForeignKeyConstraint(
            ["source_id"], ["traffic_sources.id"], name=op.f("fk_source_parameters_source_id_traffic_sources")
        ),
        sa.PrimaryKeyConstraint("source_id", "number", name=op.f("pk_source_parameters")),
        sa.UniqueConstraint("source_id", "parameter", name=op.f("uq_source_parameters_source_id_parameter")),
    )
    op.create_table(
        "networks",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("preset", sa.String(length=100), server_default="", nullable=False),
        sa.Column("click_id_parameter", sa.String(length=200), server_default="", nullable=False),
        sa.Column("offer_url_template", sa.Text(), server_default="", nullable=False),
        sa.Column("postback_parameters", sa.JSON(), nullable=False),
        sa.Column("currency", sa.String(length=3), server_default="", nullable=False),
        sa.Column("token", sa.String(length=200), server_default="", nullable=False),
        sa.Column("addresses", sa.JSON(), nullable=False),
        sa.Column("refuse_duplicates", sa.Boolean(), nullable=False),
        sa.Column("test_only", sa.Boolean(), nullable=False),
        sa.Column("click_lifetime_days", sa.Integer(), server_default="90", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_networks")),
        sa.UniqueConstraint("name", name=op.f("uq_networks_name")),
    )
    op.create_table(
        "offers",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("network_id", sa.Integer(), nullable=True),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("payout_micros", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(length=3), server_default="", nullable=False),
        sa.Column("tags", sa.JSON(), server_default="[]", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["network_id"], ["networks.id"], name=op.f("fk_offers_network_id_networks")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offers")),
    )
    op.create_table(
        "campaigns",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("key", sa.String(length=6), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("domain", sa.String(length=253), server_default="", nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("fallback_url", sa.Text(), server_default="", nullable=False),
        sa.Column("cost_model", sa.String(length=16), server_default="link", nullable=False),
        sa.Column("cost_micros", sa.BigInteger(), nullable=True),
        sa.Column("source_rules_off", sa.Boolean(), nullable=False),
        sa.Column("tags", sa.JSON(), server_default="[]", nullable=False),
        sa.Column("notes", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "cost_model IN ('link', 'per_click', 'per_thousand', 'none')", name=op.f("ck_campaigns_cost_model_known")
        ),
        sa.CheckConstraint(
            "(cost_micros IS NOT NULL) = (cost_model IN ('per_click', 'per_thousand'))",
            name=op.f("ck_campaigns_cost_where_fixed"),
        ),
        sa.ForeignKeyConstraint(
            ["source_id"], ["traffic_sources.id"], name=op.f("fk_campaigns_source_id_traffic_sources")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaigns")),
        sa.UniqueConstraint("key", name=op.f("uq_campaigns_key")),
    )
    op.create_table(
        "campaign_offers",
        sa.Column("campaign_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("offer_id", sa.Integer(), nullable=False),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.CheckConstraint("weight >= 0", name=op.f("ck_campaign_offers_weight_not_negative")),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaigns.id"], name=op.f("fk_campaign_offers_campaign_id_campaigns")
        ),
        sa.ForeignKeyConstraint(["offer_id"], ["offers.id"], name=op.f("fk_campaign_offers_offer_id_offers")),
        sa.PrimaryKeyConstraint("campaign_id", "position", name=op.f("pk_campaign_offers")),
        sa.UniqueConstraint("campaign_id", "offer_id", name=op.f("uq_campaign_offers_campaign_id_offer_id")),
    )
    op.create_table(
        "statuses",
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("counts_as", sa.String(length=16), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "counts_as IN ('pending', 'confirmed', 'rejected')", name=op.f("ck_statuses_counts_as_known")
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_statuses")),
    )
    op.create_table(
        "status_words",
        sa.Column("word", sa.String(length=200), nullable=False),
        sa.Column("status_key", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["status_key"], ["statuses.key"], name=op.f("fk_status_words_status_key_statuses")),
        sa.PrimaryKeyConstraint("word", name=op.f("pk_status_words")),
    )
    op.create_table(
        "rates",
        sa.Column("to_currency", sa.String(length=3), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("rate_e12", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.String(length=200), server_default="", nullable=False),
        sa.CheckConstraint("rate_e12 > 0", name=op.f("ck_rates_rate_positive")),
        sa.PrimaryKeyConstraint("to_currency", "currency", "day", name=op.f("pk_rates")),
    )
    op.create_table(
        "postback_rules",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=True),
        sa.Column("campaign_id", sa.Integer(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("conditions", sa.JSON(), nullable=False),
        sa.Column("success", sa.JSON(), nullable=False),
        sa.Column("schedule", sa.JSON(), nullable=False),
        sa.Column("counted", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("paused_at", sa.BigInteger(), nullable=True),
        sa.Column("probing_at", sa.BigInteger(), nullable=True),
        sa.Column("probe_id", sa.String(length=26), nullable=True),
        sa.Column("request_changed_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("source_id IS NULL OR campaign_id IS NULL", name=op.f("ck_postback_rules_one_owner")),
        sa.CheckConstraint("paused_at IS NULL OR probing_at IS NULL", name=op.f("ck_postback_rules_paused_or_probing")),
        sa.CheckConstraint(
            "probe_id IS NULL OR probing_at IS NOT NULL", name=op.f("ck_postback_rules_probe_while_probing")
        ),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaigns.id"], name=op.f("fk_postback_rules_campaign_id_campaigns")
        ),
        sa.ForeignKeyConstraint(
            ["source_id"], ["traffic_sources.id"], name=op.f("fk_postback_rules_source_id_traffic_sources")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_postback_rules")),
    )


def _create_happenings() -> None:
    op.create_table(
        "settled_segments",
        sa.Column("segment", sa.String(length=200), nullable=False),
        sa.Column("settled_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("segment", name=op.f("pk_settled_segments")),
    )
    op.create_table(
        "notices",
        sa.Column("notice_id", sa.String(length=26), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("door", sa.String(length=8), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("click_id", sa.String(length=26), nullable=True),
        sa.Column("network_id", sa.Integer(), nullable=True),
        sa.Column("campaign_id", sa.Integer(), nullable=True),
        sa.Column("status_word", sa.String(length=200), server_default="", nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=True),
        sa.Column("flags", sa.String(length=400), server_default="", nullable=False),
        sa.Column("conversion_id", sa.String(length=26), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("look_again_at", sa.BigInteger(), nullable=True),
        sa.Column("runs", sa.Integer(), server_default="1", nullable=False),
        sa.Column("run_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("(outcome = 'refused') = (reason IS NOT NULL)", name=op.f("ck_notices_refused_has_reason")),
        sa.CheckConstraint(
            "(outcome = 'waiting') = (look_again_at IS NOT NULL)", name=op.f("ck_notices_waiting_has_moment")
        ),
        sa.CheckConstraint(
            "(outcome IN ('new', 'changed', 'repeated')) = (conversion_id IS NOT NULL)",
            name=op.f("ck_notices_registered_has_conversion"),
        ),
        sa.CheckConstraint(
            "outcome IN ('waiting', 'new', 'changed', 'repeated', 'refused')", name=op.f("ck_notices_outcome_known")
        ),
        sa.PrimaryKeyConstraint("notice_id", name=op.f("pk_notices")),
    )
    op.create_index("ix_notices_click_id", "notices", ["click_id"], unique=False)
    op.create_index(
        "ix_notices_waiting",
        "notices",
        ["look_again_at"],
        unique=False,
        sqlite_where=sa.text("outcome = 'waiting'"),
        postgresql_where=sa.text("outcome = 'waiting'"),
    )
    op.create_table(
        "conversions",
        sa.Column("conversion_id", sa.String(length=26), nullable=False),
        sa.Column("click_id", sa.String(length=26), nullable=False),
        sa.Column("txid", sa.String(length=500), nullable=False),
        sa.Column("campaign_id", sa.Integer(), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("offer_id", sa.Integer(), nullable=False),
        sa.Column("network_id", sa.Integer(), nullable=False),
        sa.Column("status_key", sa.String(length=32), nullable=False),
        sa.Column("counts_as", sa.String(length=16), nullable=False),
        sa.Column("status_word", sa.String(length=200), nullable=False),
        sa.Column("payout_micros", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("payout_text", sa.String(length=200), nullable=False),
        sa.Column("latest_turn", sa.String(length=41), nullable=False),
        sa.Column("status_turn", sa.String(length=41), nullable=False),
        sa.Column("payout_turn", sa.String(length=41), nullable=False),
        sa.Column("flags", sa.String(length=400), nullable=False),
        sa.Column("first_of_click", sa.Boolean(), nullable=False),
        sa.Column("test", sa.Boolean(), nullable=False),
        sa.Column("converted_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("click", sa.LargeBinary(), nullable=False),
        sa.Column("parameters", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("version >= 1", name=op.f("ck_conversions_version_from_one")),
        sa.PrimaryKeyConstraint("conversion_id", name=op.f("pk_conversions")),
        sa.UniqueConstraint("click_id", "txid", name=op.f("uq_conversions_click_id_txid")),
    )
    op.create_index("ix_conversions_txid", "conversions", ["txid"], unique=False)
    op.create_table(
        "conversion_changes",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("conversion_id", sa.String(length=26), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("notice_id", sa.String(length=26), nullable=False),
        sa.Column("before", sa.LargeBinary(), nullable=True),
        sa.Column("after", sa.LargeBinary(), nullable=False),
        sa.Column("rules_decided", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["conversion_id"],
            ["conversions.conversion_id"],
            name=op.f("fk_conversion_changes_conversion_id_conversions"),
        ),
        sa.ForeignKeyConstraint(
            ["notice_id"], ["notices.notice_id"], name=op.f("fk_conversion_changes_notice_id_notices")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conversion_changes")),
        sa.UniqueConstraint("conversion_id", "version", name=op.f("uq_conversion_changes_conversion_id_version")),
    )


def _create_postbacks() -> None:
    op.create_table(
        "postbacks",
        sa.Column("postback_id", sa.String(length=26), nullable=False),
        sa.Column("conversion_id", sa.String(length=26), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("rule_id", sa.Integer(), nullable=False),
        sa.Column("resend", sa.Integer(), nullable=False),
        sa.Column("original_id", sa.String(length=26), nullable=True),
        sa.Column("bulk_job_id", sa.String(length=26), nullable=True),
        sa.Column("click_id", sa.String(length=26), nullable=False),
        sa.Column("campaign_id", sa.Integer(), nullable=False),
        sa.Column("source_id", sa.Integer(), nullable=False),
        sa.Column("trigger", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=True),
        sa.Column("findings", sa.LargeBinary(), nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=True),
        sa.Column("lane", sa.String(length=300), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger(), nullable=True),
        sa.Column("held_from", sa.BigInteger(), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=True),
        sa.Column("lease_token", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "(state = 'sending') = (lease_until IS NOT NULL)", name=op.f("ck_postbacks_sending_has_lease")
        ),
        sa.CheckConstraint("held_from IS NULL OR state = 'waiting'", name=op.f("ck_postbacks_held_is_waiting")),
        sa.CheckConstraint("(resend = 0) = (original_id IS NULL)", name=op.f("ck_postbacks_resend_has_original")),
        sa.CheckConstraint("(state = 'skipped') = (reason IS NOT NULL)", name=op.f("ck_postbacks_skipped_has_reason")),
        sa.CheckConstraint("(state = 'skipped') OR (request IS NOT NULL)", name=op.f("ck_postbacks_owed_has_request")),
        sa.CheckConstraint(
            "(state = 'waiting') = (next_attempt_at IS NOT NULL)", name=op.f("ck_postbacks_waiting_has_moment")
        ),
        sa.CheckConstraint(
            "(state IN ('waiting', 'sending')) = (finished_at IS NULL)", name=op.f("ck_postbacks_final_has_moment")
        ),
        sa.CheckConstraint(
            "state IN ('waiting', 'sending', 'delivered', 'failed', 'skipped', 'cancelled')",
            name=op.f("ck_postbacks_state_known"),
        ),
        sa.PrimaryKeyConstraint("postback_id", name=op.f("pk_postbacks")),
        sa.UniqueConstraint(
            "conversion_id",
            "version",
            "rule_id",
            "resend",
            name=op.f("uq_postbacks_conversion_id_version_rule_id_resend"),
        ),
    )
    op.create_index("ix_postbacks_click_id", "postbacks", ["click_id"], unique=False)
    op.create_index(
        "ix_postbacks_held",
        "postbacks",
        ["rule_id", "conversion_id"],
        unique=False,
        sqlite_where=sa.text("held_from IS NOT NULL"),
        postgresql_where=sa.text("held_from IS NOT NULL"),
    )
    op.create_index(
        "uq_postbacks_bulk_job",
        "postbacks",
        ["bulk_job_id", "original_id"],
        unique=True,
        sqlite_where=sa.text("bulk_job_id IS NOT NULL"),
        postgresql_where=sa.text("bulk_job_id IS NOT NULL"),
    )
    op.create_index(
        "ix_postbacks_due",
        "postbacks",
        ["lane", "next_attempt_at", "postback_id"],
        unique=False,
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index(
        "ix_postbacks_leases",
        "postbacks",
        ["lease_until"],
        unique=False,
        sqlite_where=sa.text("state = 'sending'"),
        postgresql_where=sa.text("state = 'sending'"),
    )
    op.create_table(
        "lanes",
        sa.Column("lane", sa.String(length=300), nullable=False),
        sa.Column("connections", sa.Integer(), nullable=True),
        sa.Column("per_minute", sa.Integer(), nullable=True),
        sa.Column("opened_at", sa.BigInteger(), nullable=True),
        sa.Column("probe_at", sa.BigInteger(), nullable=True),
        sa.Column("probes", sa.Integer(), nullable=False),
        sa.Column("why", sa.String(length=500), nullable=False),
        sa.Column("held_until", sa.BigInteger(), nullable=True),
        sa.Column("asked", sa.String(length=8), nullable=True),
        sa.CheckConstraint("asked IS NULL OR asked IN ('probe', 'resume')", name=op.f("ck_lanes_asked_known")),
        sa.CheckConstraint(
            "asked IS NULL OR opened_at IS NOT NULL OR held_until IS NOT NULL", name=op.f("ck_lanes_asked_while_held")
        ),
        sa.CheckConstraint("(opened_at IS NULL) = (probe_at IS NULL)", name=op.f("ck_lanes_paused_has_probe")),
        sa.CheckConstraint("connections IS NULL OR connections >= 1", name=op.f("ck_lanes_connections_from_one")),
        sa.CheckConstraint("per_minute IS NULL OR per_minute >= 1", name=op.f("ck_lanes_per_minute_from_one")),
        sa.PrimaryKeyConstraint("lane", name=op.f("pk_lanes")),
    )
    op.create_table(
        "attempts",
        sa.Column("postback_id", sa.String(length=26), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("result", sa.String(length=16), nullable=True),
        sa.Column("status_code", sa.Integer(), nullable=True),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.Column("error", sa.String(length=500), nullable=True),
        sa.Column("duration_ms", sa.Integer(), nullable=True),
        sa.CheckConstraint("(result IS NULL) = (finished_at IS NULL)", name=op.f("ck_attempts_finished_has_result")),
        sa.ForeignKeyConstraint(
            ["postback_id"], ["postbacks.postback_id"], name=op.f("fk_attempts_postback_id_postbacks")
        ),
        sa.PrimaryKeyConstraint("postback_id", "number", name=op.f("pk_attempts")),
    )
    op.create_table(
        "fact_outbox",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("fact", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fact_outbox")),
        sqlite_autoincrement=True,
    )


def _create_log_indexes() -> None:
    """Each log by each filter, the newest first."""
    for table, filters in (
        ("notices", ("campaign_id", "network_id", "conversion_id")),
        ("conversions", ("campaign_id", "source_id", "offer_id", "network_id", "status_key")),
        ("postbacks", ("campaign_id", "source_id", "rule_id")),
    ):
        for column in filters:
            op.create_index(f"ix_{table}_{column}", table, [column, f"{table[:-1]}_id"], unique=False)
    word = sa.text("lower(trim(status_word))")
    op.create_index("ix_notices_status_word", "notices", [word, "notice_id"], unique=False)
    _create_partial("ix_notices_waiting_click", "notices", ["click_id"], "outcome = 'waiting'")
    op.create_index(
        "ix_conversions_first_of_click",
        "conversions",
        ["click_id"],
        unique=False,
        sqlite_where=sa.text("first_of_click = 1"),
        postgresql_where=sa.text("first_of_click"),
    )
    _create_partial("ix_notices_waiting_newest", "notices", ["notice_id"], "outcome = 'waiting'")
    _create_partial("ix_notices_reason", "notices", ["reason", "notice_id"], "reason IS NOT NULL")
    _create_partial("ix_notices_flagged", "notices", ["notice_id"], "flags <> ''")
    _create_partial("ix_conversions_flagged", "conversions", ["conversion_id"], "flags <> ''")
    _create_partial("ix_postbacks_reason", "postbacks", ["reason", "postback_id"], "reason IS NOT NULL")
    _create_partial(
        "ix_postbacks_ended_badly", "postbacks", ["state", "postback_id"], "state IN ('failed', 'cancelled')"
    )
    _create_partial("ix_postbacks_unfinished", "postbacks", ["postback_id"], "state IN ('waiting', 'sending')")


def _create_partial(name: str, table: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=False, sqlite_where=where, postgresql_where=where)


def _create_work() -> None:
    op.create_table(
        "bulk_jobs",
        sa.Column("bulk_job_id", sa.String(length=26), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("asked", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("last_id", sa.String(length=26), nullable=False),
        sa.Column("done_id", sa.String(length=26), nullable=False),
        sa.Column("matched", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("made", sa.Integer(), nullable=False),
        sa.Column("left_out", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("(state = 'running') = (finished_at IS NULL)", name=op.f("ck_bulk_jobs_ended_has_moment")),
        sa.CheckConstraint("kind IN ('resend', 'rerun', 'cancel')", name=op.f("ck_bulk_jobs_kind_known")),
        sa.CheckConstraint("state IN ('running', 'finished', 'stopped')", name=op.f("ck_bulk_jobs_state_known")),
        sa.PrimaryKeyConstraint("bulk_job_id", name=op.f("pk_bulk_jobs")),
    )
    op.create_index(
        "ix_bulk_jobs_running",
        "bulk_jobs",
        ["bulk_job_id"],
        unique=False,
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_table(
        "kept_answers",
        sa.Column("key", sa.String(length=300), nullable=False),
        sa.Column("question", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_kept_answers")),
    )
    op.create_index("ix_kept_answers_created_at", "kept_answers", ["created_at"], unique=False)


def _create_uploads() -> None:
    op.create_table(
        "uploads",
        sa.Column("upload_id", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("format", sa.String(length=16), nullable=False),
        sa.Column("preview", sa.Boolean(), nullable=False),
        sa.Column("postbacks", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("octets", sa.BigInteger(), nullable=False),
        sa.Column("octets_read", sa.BigInteger(), nullable=False),
        sa.Column("next_line", sa.BigInteger(), nullable=False),
        sa.Column("lines", sa.BigInteger(), nullable=False),
        sa.Column("counts", sa.LargeBinary(), nullable=False),
        sa.Column("reasons", sa.LargeBinary(), nullable=False),
        sa.Column("flagged", sa.BigInteger(), nullable=False),
        sa.Column("flags", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.String(length=500), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'running', 'finished', 'failed', 'cancelled')", name=op.f("ck_uploads_state_known")
        ),
        sa.CheckConstraint(
            "(state IN ('waiting', 'running')) = (finished_at IS NULL)", name=op.f("ck_uploads_ended_has_moment")
        ),
        sa.CheckConstraint("(state = 'failed') = (error IS NOT NULL)", name=op.f("ck_uploads_failed_has_error")),
        sa.CheckConstraint("octets_read BETWEEN 0 AND octets", name=op.f("ck_uploads_read_within_file")),
        sa.PrimaryKeyConstraint("upload_id", name=op.f("pk_uploads")),
    )
    op.create_index(
        "ix_uploads_unfinished",
        "uploads",
        ["upload_id"],
        unique=False,
        sqlite_where=sa.text("finished_at IS NULL"),
        postgresql_where=sa.text("finished_at IS NULL"),
    )


def _create_exports() -> None:
    op.create_table(
        "exports",
        sa.Column("export_id", sa.String(length=26), nullable=False),
        sa.Column("noun", sa.String(length=16), nullable=False),
        sa.Column("filters", sa.LargeBinary(), nullable=False),
        sa.Column("columns", sa.String(length=2000), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("asked_by", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("next_cursor", sa.String(length=200), nullable=False),
        sa.Column("rows_written", sa.BigInteger(), nullable=False),
        sa.Column("octets", sa.BigInteger(), nullable=False),
        sa.Column("reached_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.String(length=500), nullable=True),
        sa.CheckConstraint(
            "noun IN ('clicks', 'conversions', 'notices', 'postbacks')", name=op.f("ck_exports_noun_known")
        ),
        sa.CheckConstraint(
            "state IN ('waiting', 'running', 'finished', 'failed', 'stopped')", name=op.f("ck_exports_state_known")
        ),
        sa.CheckConstraint(
            "(state IN ('waiting', 'running')) = (finished_at IS NULL)", name=op.f("ck_exports_ended_has_moment")
        ),
        sa.CheckConstraint("(state = 'failed') = (error IS NOT NULL)", name=op.f("ck_exports_failed_has_error")),
        sa.PrimaryKeyConstraint("export_id", name=op.f("pk_exports")),
    )
    op.create_index(
        "ix_exports_unfinished",
        "exports",
        ["export_id"],
        unique=False,
        sqlite_where=sa.text("finished_at IS NULL"),
        postgresql_where=sa.text("finished_at IS NULL"),
    )
