"""Add landings, named lists and flows."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    _create_landings_and_lists()
    _create_flows()
    _add_campaign_columns()
    _move_campaign_offers()


def _create_landings_and_lists() -> None:
    op.create_table(
        "landings",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("buttons", sa.Integer(), nullable=False),
        sa.Column("append_click_id", sa.Boolean(), nullable=False),
        sa.Column("tags", sa.JSON(), server_default="[]", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.CheckConstraint("buttons BETWEEN 1 AND 50", name=op.f("ck_landings_buttons_in_range")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_landings")),
    )
    op.create_table(
        "lists",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("entries", sa.JSON(), server_default="[]", nullable=False),
        sa.Column("notes", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lists")),
        sa.UniqueConstraint("name", name=op.f("uq_lists_name")),
    )


def _create_flows() -> None:
    op.create_table(
        "flows",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(length=200), server_default="", nullable=False),
        sa.Column("campaign_id", sa.Integer(), nullable=True),
        sa.Column("parts", sa.JSON(), server_default="{}", nullable=False),
        sa.Column("tags", sa.JSON(), server_default="[]", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default="1", nullable=False),
        sa.CheckConstraint("(name <> '') = (campaign_id IS NULL)", name=op.f("ck_flows_named_if_shared")),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.id"], name=op.f("fk_flows_campaign_id_campaigns")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flows")),
        sa.UniqueConstraint("campaign_id", name=op.f("uq_flows_campaign_id")),
    )
    op.create_table(
        "flow_parts",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("flow_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("kind IN ('rule', 'path')", name=op.f("ck_flow_parts_kind_known")),
        sa.ForeignKeyConstraint(["flow_id"], ["flows.id"], name=op.f("fk_flow_parts_flow_id_flows")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flow_parts")),
    )
    op.create_index("ix_flow_parts_flow_id", "flow_parts", ["flow_id"], unique=False)
    op.create_table(
        "flow_references",
        sa.Column("flow_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("referenced_id", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('offer', 'landing', 'campaign', 'list')", name=op.f("ck_flow_references_kind_known")
        ),
        sa.ForeignKeyConstraint(["flow_id"], ["flows.id"], name=op.f("fk_flow_references_flow_id_flows")),
        sa.PrimaryKeyConstraint("flow_id", "kind", "referenced_id", name=op.f("pk_flow_references")),
    )
    op.create_index("ix_flow_references_referenced", "flow_references", ["kind", "referenced_id"], unique=False)
    op.create_table(
        "flow_versions",
        sa.Column("flow_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("parts", sa.JSON(), nullable=False),
        sa.Column("saved_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["flow_id"], ["flows.id"], name=op.f("fk_flow_versions_flow_id_flows")),
        sa.PrimaryKeyConstraint("flow_id", "version", name=op.f("pk_flow_versions")),
    )


def _add_campaign_columns() -> None:
    op.add_column("campaigns", sa.Column("flow_id", sa.Integer(), nullable=True))
    op.add_column("campaigns", sa.Column("redirect", sa.String(length=16), server_default="302", nullable=False))
    op.add_column("campaigns", sa.Column("redirect_domain", sa.String(length=253), server_default="", nullable=False))
    op.add_column("campaigns", sa.Column("pass_query", sa.String(length=16), server_default="none", nullable=False))
    op.create_index("ix_campaigns_flow_id", "campaigns", ["flow_id"], unique=False)


def _move_campaign_offers() -> None:
    """Give each campaign a flow of its own with one default path to the offers that it had."""
    connection = op.get_bind()
    offers: dict[int, list[dict[str, int]]] = {}
    rows = connection.execute(
        sa.text("SELECT campaign_id, offer_id, weight FROM campaign_offers ORDER BY campaign_id, position")
    )
    for campaign_id, offer_id, weight in rows:
        offers.setdefault(campaign_id, []).append({"offer_id": offer_id, "weight": weight})
    campaigns = connection.execute(
        sa.text("SELECT id, created_at, updated_at, version FROM campaigns ORDER BY id")
    ).all()
    for campaign_id, created_at, updated_at, version in campaigns:
        flow_id = connection.execute(
            sa.text(
                "INSERT INTO flows (campaign_id, parts, created_at, updated_at, version) "
                "VALUES (:campaign_id, '{}', :created_at, :updated_at, :version) RETURNING id"
            ),
            {"campaign_id": campaign_id, "created_at": created_at, "updated_at": updated_at, "version": version},
        ).scalar_one()
        parts = json.dumps(_parts(connection, flow_id, offers.get(campaign_id, [])))
        connection.execute(
            sa.text("UPDATE flows SET parts = :parts WHERE id = :flow_id"), {"parts": parts, "flow_id": flow_id}
        )
        connection.execute(
            sa.text(
                "INSERT INTO flow_versions (flow_id, version, parts, saved_at) VALUES (:flow_id, :version, :parts, :saved_at)"
            ),
            {"flow_id": flow_id, "version": version, "parts": parts, "saved_at": updated_at},
        )
        for share in offers.get(campaign_id, []):
            connection.execute(
                sa.text(
                    "INSERT INTO flow_references (flow_id, kind, referenced_id) VALUES (:flow_id, 'offer', :offer_id)"
                ),
                {"flow_id": flow_id, "offer_id": share["offer_id"]},
            )
    op.drop_table("campaign_offers")


def _parts(connection: sa.Connection, flow_id: int, offers: list[dict[str, int]]) -> dict[str, object]:
    """Return a flow with one default path, which gets its id; without offers an empty flow."""
    if not offers:
        return {"rules": [], "default_paths": []}
    path_id = connection.execute(
        sa.text("INSERT INTO flow_parts (flow_id, kind, name) VALUES (:flow_id, 'path', '') RETURNING id"),
        {"flow_id": flow_id},
    ).scalar_one()
    path = {
        "id": path_id,
        "name": "",
        "active": True,
        "weight": 100,
        "target": "offer",
        "landings": [],
        "offers": offers,
    }
    return {"rules": [], "default_paths": [path]}
