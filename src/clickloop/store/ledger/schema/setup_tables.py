"""Tables of the set-up. See ``tables``."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from clickloop.store.ledger.schema.metadata import metadata, number_column
from clickloop.store.ledger.schema.sealing import SealedJson, SealedText

settings = Table(
    "settings",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", JSON, nullable=False),
    Column("version", BigInteger, nullable=False, server_default="1"),
)

traffic_sources = Table(
    "traffic_sources",
    metadata,
    number_column(),
    Column("name", String(200), nullable=False, unique=True),
    Column("preset", String(100), nullable=False, server_default=""),
    Column("cost_model", String(16), nullable=False, server_default="cpc"),
    Column("cost_currency", String(3), nullable=False, server_default=""),
    Column("used_numbers", JSON, nullable=False, server_default="[]"),  # numbers of its V rows, including removed ones
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("archived_at", BigInteger),
    Column("version", BigInteger, nullable=False, server_default="1"),
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
    number_column(),
    Column("name", String(200), nullable=False, unique=True),
    Column("preset", String(100), nullable=False, server_default=""),
    Column("click_id_parameter", String(200), nullable=False, server_default=""),
    Column("offer_url_template", Text, nullable=False, server_default=""),
    Column("postback_parameters", JSON, nullable=False),  # {our parameter: the network's macro}
    Column("currency", String(3), nullable=False, server_default=""),
    Column("token", SealedText(200), nullable=False, server_default=""),
    Column("addresses", JSON, nullable=False),  # list of CIDR ranges; empty: any address
    Column("refuse_duplicates", Boolean, nullable=False),
    Column("test_only", Boolean, nullable=False),
    Column("click_lifetime_days", Integer, nullable=False, server_default="90"),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("archived_at", BigInteger),
    Column("status_words", JSON, nullable=False, server_default="{}"),  # {word as by word_key: key of a status}
    Column("version", BigInteger, nullable=False, server_default="1"),
)

offers = Table(
    "offers",
    metadata,
    number_column(),
    Column("name", String(200), nullable=False),
    Column("network_id", ForeignKey("networks.id")),
    Column("url", Text, nullable=False),
    Column("payout_micros", BigInteger),  # a fixed payout; NULL: the one in the notice
    Column("currency", String(3), nullable=False, server_default=""),
    Column("tags", JSON, nullable=False, server_default="[]"),  # list of texts
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("archived_at", BigInteger),
    Column("version", BigInteger, nullable=False, server_default="1"),
    Column("cap", JSON(none_as_null=True)),  # setup.offer_cap.OfferCap
)

campaigns = Table(
    "campaigns",
    metadata,
    number_column(),
    Column("key", String(6), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("source_id", ForeignKey("traffic_sources.id"), nullable=False),
    Column("domain", String(253), nullable=False, server_default=""),
    Column("active", Boolean, nullable=False),
    Column("fallback_url", Text, nullable=False, server_default=""),
    Column("cost_model", String(16), nullable=False, server_default="link"),
    Column("cost_micros", BigInteger),  # the fixed cost of a click or of a thousand
    Column("source_rules_off", Boolean, nullable=False),
    Column("tags", JSON, nullable=False, server_default="[]"),  # list of texts
    Column("notes", Text, nullable=False, server_default=""),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("archived_at", BigInteger),
    Column("version", BigInteger, nullable=False, server_default="1"),
    # Of a shared flow; none: the campaign's own. Without a foreign key, since flows refer to campaigns.
    Column("flow_id", Integer, index=True),
    Column("redirect", String(16), nullable=False, server_default="302"),
    Column("redirect_domain", String(253), nullable=False, server_default=""),
    Column("pass_query", String(16), nullable=False, server_default="none"),
    Column("unique_within_seconds", BigInteger, nullable=False, server_default="86400"),
    Column("unique_by", String(16), nullable=False, server_default="campaign"),
    Column("unique_epoch", Integer, nullable=False, server_default="0"),  # raised to reset uniqueness
    Column("bind", String(16), nullable=False, server_default="none"),
    Column("rotation", String(16), nullable=False, server_default="random"),
    Column("marks", JSON, nullable=False, server_default="[]"),  # list of setup.mark.MarkSetting
    Column("unique_cost_only", Boolean, nullable=False, server_default=false()),
    Column("conversion_cost", JSON(none_as_null=True)),  # setup.cost_rule.ConversionCost
    Column("loss_percent", Integer, nullable=False, server_default="0"),
    CheckConstraint("cost_model IN ('link', 'per_click', 'per_thousand', 'none')", name="cost_model_known"),
    CheckConstraint(
        "(cost_micros IS NOT NULL) = (cost_model IN ('per_click', 'per_thousand'))", name="cost_where_fixed"
    ),
)

statuses = Table(
    "statuses",
    metadata,
    Column("key", String(32), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("counts_as", String(16), nullable=False),
    Column("position", Integer, nullable=False),
    Column("version", BigInteger, nullable=False, server_default="1"),
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
    Column("to_currency", String(3), nullable=False),  # the currency of the instance
    Column("currency", String(3), nullable=False),
    Column("day", Integer, nullable=False),  # days since 1970-01-01, UTC; valid until the next day with a rate
    Column("rate_e12", BigInteger, nullable=False),  # the value of one unit, times 10^12
    Column("source", String(200), nullable=False, server_default=""),  # where the user got it from
    PrimaryKeyConstraint("to_currency", "currency", "day"),
    CheckConstraint("rate_e12 > 0", name="rate_positive"),
)

postback_rules = Table(
    "postback_rules",
    metadata,
    number_column(),
    Column("name", String(200), nullable=False),
    Column("source_id", ForeignKey("traffic_sources.id")),
    Column("campaign_id", ForeignKey("campaigns.id")),  # neither: for the whole instance
    Column("active", Boolean, nullable=False),
    Column("request", SealedJson, nullable=False),  # postback.rule.RequestTemplate
    Column("conditions", JSON, nullable=False),  # postback.rule.Conditions
    Column("success", JSON, nullable=False),  # postback.rule.Success
    Column("schedule", JSON, nullable=False),  # seconds before each retry; JSON null: the default
    Column("counted", BigInteger, nullable=False, server_default="0"),  # conversions counted for sending every nth
    Column("paused_at", BigInteger),  # when a receiver's 410 paused it; its postbacks wait
    Column("probing_at", BigInteger),  # when it was resumed, until its probe has an outcome
    Column("probe_id", String(26)),  # the postback sent first after resuming
    Column("request_changed_at", BigInteger),  # postbacks created earlier were built from another request
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("archived_at", BigInteger),
    Column("version", BigInteger, nullable=False, server_default="1"),
    CheckConstraint("source_id IS NULL OR campaign_id IS NULL", name="one_owner"),
    CheckConstraint("paused_at IS NULL OR probing_at IS NULL", name="paused_or_probing"),
    CheckConstraint("probe_id IS NULL OR probing_at IS NOT NULL", name="probe_while_probing"),
)
