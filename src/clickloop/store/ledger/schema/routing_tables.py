"""Tables of what decides where visitors go. See ``tables``."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    text,
)

from clickloop.store.ledger.schema.metadata import metadata, number_column

landings = Table(
    "landings",
    metadata,
    number_column(),
    Column("name", String(200), nullable=False),
    Column("url", Text, nullable=False),
    Column("buttons", Integer, nullable=False),
    Column("append_click_id", Boolean, nullable=False),
    Column("tags", JSON, nullable=False, server_default="[]"),  # list of texts
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("archived_at", BigInteger),
    Column("version", BigInteger, nullable=False, server_default="1"),
    CheckConstraint("buttons BETWEEN 1 AND 50", name="buttons_in_range"),
)

lists = Table(
    "lists",
    metadata,
    number_column(),
    Column("name", String(200), nullable=False, unique=True),
    Column("entries", JSON, nullable=False, server_default="[]"),  # list of texts
    Column("notes", Text, nullable=False, server_default=""),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("archived_at", BigInteger),
    Column("version", BigInteger, nullable=False, server_default="1"),
    Column("kind", String(8), nullable=False, server_default="plain"),
    Column("source_id", Integer),  # none: a plain list
    Column("dimension", String(200), nullable=False, server_default=""),
)

list_entries = Table(
    "list_entries",
    metadata,
    number_column(),
    Column("list_id", ForeignKey("lists.id"), nullable=False),
    Column("value", Text, nullable=False),
    Column("added_at", BigInteger, nullable=False),
    Column("added_by", String(200), nullable=False),
    Column("clicks", BigInteger, nullable=False),  # in the period that it was judged by, like the figures below
    Column("cost_micros", BigInteger, nullable=False),
    Column("conversions", BigInteger, nullable=False),
    Column("revenue_micros", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("from_at", BigInteger, nullable=False),
    Column("until_at", BigInteger, nullable=False),
    Column("removed_at", BigInteger),  # none: the value is in the list
    Column("removed_by", String(200), nullable=False, server_default=""),
)
Index("ix_list_entries_list_id", list_entries.c.list_id, list_entries.c.id)
Index(
    "uq_list_entries_value",
    list_entries.c.list_id,
    list_entries.c.value,
    unique=True,
    sqlite_where=list_entries.c.removed_at.is_(None),
    postgresql_where=list_entries.c.removed_at.is_(None),
)

flows = Table(
    "flows",
    metadata,
    number_column(),
    Column("name", String(200), nullable=False, server_default=""),  # of a shared flow
    Column("campaign_id", ForeignKey("campaigns.id"), unique=True),  # whose own flow it is; none: it is shared
    Column("parts", JSON, nullable=False, server_default="{}"),  # setup.flow.FlowParts
    Column("tags", JSON, nullable=False, server_default="[]"),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("archived_at", BigInteger),
    Column("version", BigInteger, nullable=False, server_default="1"),
    CheckConstraint("(name <> '') = (campaign_id IS NULL)", name="named_if_shared"),
)

flow_parts = Table(  # every rule and path that a flow ever had: old reports keep their names, and ids are never reused
    "flow_parts",
    metadata,
    number_column(),
    Column("flow_id", ForeignKey("flows.id"), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("name", String(200), nullable=False),
    Column("archived_at", BigInteger),  # when it was removed from its flow
    CheckConstraint("kind IN ('rule', 'path')", name="kind_known"),
    Index("ix_flow_parts_flow_id", "flow_id"),
)

flow_references = Table(  # what the parts of a flow name, for looking up who uses a record
    "flow_references",
    metadata,
    Column("flow_id", ForeignKey("flows.id"), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("referenced_id", Integer, nullable=False),
    PrimaryKeyConstraint("flow_id", "kind", "referenced_id"),
    CheckConstraint("kind IN ('offer', 'landing', 'campaign', 'list')", name="kind_known"),
    Index("ix_flow_references_referenced", "kind", "referenced_id"),
)

flow_versions = Table(  # each saved version, by which the decisions of past clicks can be replayed
    "flow_versions",
    metadata,
    Column("flow_id", ForeignKey("flows.id"), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("parts", JSON, nullable=False),
    Column("saved_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("flow_id", "version"),
)

routing_states = Table(  # each published version, by which the decisions of past clicks can be replayed
    "routing_states",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("state", JSON, nullable=False),  # setup.routing_state.RoutingState
    Column("published_at", BigInteger, nullable=False),
    Index("ix_routing_states_published_at", "published_at"),
)

cap_spans = Table(  # when the caps of offers were reached, and until when
    "cap_spans",
    metadata,
    number_column(),
    Column("offer_id", Integer, nullable=False),
    Column("cap", JSON, nullable=False),  # the setup.offer_cap.OfferCap that was reached
    Column("instead_id", Integer, nullable=False, server_default="0"),  # where visitors went; 0: out of the rotation
    Column("counted", BigInteger, nullable=False),  # when it was reached
    Column("reached_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Index("ix_cap_spans_offer_id", "offer_id", "reached_at"),
    Index(  # a cap is reached once at a time
        "ix_cap_spans_open",
        "offer_id",
        unique=True,
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
)

learned_weights = Table(  # the evidence behind learned weights
    "learned_weights",
    metadata,
    Column("path_id", Integer, nullable=False),
    Column("kind", String(8), nullable=False),
    Column("learned_at", BigInteger, nullable=False),
    Column("evidence", JSON, nullable=False),  # what each item's weight rests on
    PrimaryKeyConstraint("path_id", "kind", "learned_at"),
    CheckConstraint("kind IN ('landings', 'offers')", name="kind_known"),
)
