"""The postback: what is owed to whom, and trying until it is delivered."""
