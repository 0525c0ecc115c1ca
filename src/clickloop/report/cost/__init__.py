"""Cost that the user enters: what an entry covers, how it is spread over clicks, and which of several entries counts."""
