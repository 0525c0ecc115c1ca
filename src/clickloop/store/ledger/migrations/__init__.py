"""The ledger's schema, one revision after another. ``HEAD`` is the newest: such a ledger is opened as it is."""

HEAD = "0003"
