"""The current marks of clicks in SQL: those of their rows, unless they were corrected."""

CORRECTED_MARKS = "CASE WHEN corrected_id IS NULL THEN marks ELSE nullif(corrected_marks, '') END"
"""The current marks of a row of a click that is joined with ``CORRECTED``; NULL for none."""

# The range in addition to the list: the engine skips row groups by ranges, but not by lists.
CORRECTED = (
    "(SELECT click_id AS corrected_id, marks AS corrected_marks FROM corrected_clicks "
    "WHERE click_id = ANY($ids) AND click_id BETWEEN $first AND $last)"
)
"""The corrected ones among the clicks with ``$ids``, from ``$first`` to ``$last``."""
