"""The ledger's tables: everything that needs transactions. One definition for SQLite and PostgreSQL.

Times are Unix milliseconds in BIGINT columns named ``…_at``; money is BIGINT ``…_micros`` next to a currency code. The ids of
notices, conversions and postbacks are texts that sort by time (``record_id``). CHECK constraints tie each state to its times.
"""

from clickloop.store.ledger.schema.cost_tables import cost_entries
from clickloop.store.ledger.schema.log_tables import (
    attempts,
    conversion_changes,
    conversions,
    fact_outbox,
    notices,
    postbacks,
    receivers,
    settled_segments,
)
from clickloop.store.ledger.schema.metadata import metadata
from clickloop.store.ledger.schema.people_tables import changes_log, sessions, sign_in_links, tokens, users
from clickloop.store.ledger.schema.routing_tables import (
    cap_spans,
    flow_parts,
    flow_references,
    flow_versions,
    flows,
    landings,
    learned_weights,
    list_entries,
    lists,
    routing_states,
)
from clickloop.store.ledger.schema.setup_tables import (
    campaigns,
    networks,
    offers,
    postback_rules,
    rates,
    settings,
    source_parameters,
    status_words,
    statuses,
    traffic_sources,
)
from clickloop.store.ledger.schema.view_tables import views
from clickloop.store.ledger.schema.work_tables import (
    backtests,
    bulk_jobs,
    exports,
    kept_answers,
    mark_reruns,
    uploads,
)

__all__ = [
    "attempts",
    "backtests",
    "bulk_jobs",
    "campaigns",
    "cap_spans",
    "changes_log",
    "conversion_changes",
    "conversions",
    "cost_entries",
    "exports",
    "fact_outbox",
    "flow_parts",
    "flow_references",
    "flow_versions",
    "flows",
    "kept_answers",
    "landings",
    "learned_weights",
    "list_entries",
    "lists",
    "mark_reruns",
    "metadata",
    "networks",
    "notices",
    "offers",
    "postback_rules",
    "postbacks",
    "rates",
    "receivers",
    "routing_states",
    "sessions",
    "settings",
    "settled_segments",
    "sign_in_links",
    "source_parameters",
    "status_words",
    "statuses",
    "tokens",
    "traffic_sources",
    "uploads",
    "users",
    "views",
]
