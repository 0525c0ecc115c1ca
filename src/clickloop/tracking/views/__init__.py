"""Scheduled views: from a due moment to a postback."""
