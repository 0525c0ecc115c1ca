"""Files of conversions: from bytes to lines, records, columns, and one notice per line."""
