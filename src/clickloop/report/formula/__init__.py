"""Formula columns: a small typed language over the figures of a report, without names that run code.

``profit / clicks``, ``if(cost >= 20, revenue / cost, 0)``, ``conversions.sale - event3``. A text is parsed into a tree
(``parsing``), each part of which has a kind (``kind``); the tree is evaluated for a row's figures (``evaluating``), or compiled
to an engine's integer SQL with the same results.
"""
