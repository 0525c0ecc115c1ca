"""READ THIS FIRST. The loop as named steps; everything else in the tree is a part that one of these uses.

- ``take.take_click`` (edge): a visitor follows a campaign link. Read the link, screen the visitor, choose an offer, write one
  line to the journal, and only then redirect.
- ``page_events.take_landing_click`` (edge): the visitor presses a landing's button. Find their visit, choose the path's offer, write one
  line to the journal, and only then redirect. ``page_reports.take_page_report`` does the same for reports of ``track.js``.
- ``receiving.take_notice`` (edge): a network reports a conversion. Write the notice to the journal, and answer once it is on disk.
- ``settle.settle_clicks`` (core): load closed journal segments into the facts, exactly once.
- ``settling_page_events.settle_page_events`` (core): the same for page events, with the dimensions of their clicks.
- ``settle.settle_notices`` (core): turn notices into conversions. ``notices.take_notices`` is the promise in one transaction:
  the notice, the conversion's change, the postbacks that it creates, and the rows for the facts.
  ``registering`` lets ``conversion.landing_click`` choose the offer and ``conversion.attribution`` decide; ``deciding`` lets
  ``postback.due`` decide for every rule.
- ``settle.settle_facts`` (core): copy the ledger's outbox to the facts, exactly once.
- ``deliver.deliver`` (core): send postbacks until each is delivered or its schedule ends.

The API and the command line start at ``notices.convert``, a file at ``uploads``, each line a notice: five channels, one notice.
"""
