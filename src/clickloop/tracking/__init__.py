"""READ THIS FIRST. The loop as named steps; everything else in the tree is a part that one of these uses.

- ``take.take_click`` (edge): a visitor follows a campaign link. Read the link, look at the visitor, choose an offer, write one
  line to the journal, and only then redirect.
- ``take.take_notice`` (edge): somebody tells us of a conversion. Write it to the journal, and answer once it is on disk.
- ``settle.settle_clicks`` (core): closed journal segments become rows of the facts, exactly once.
- ``settle.settle_notices`` (core): notices become conversions. ``notices.take_notices`` is the promise in one transaction:
  the notice, the conversion's change, the postbacks that it owes, and what the facts will be told.
  ``registering`` lets ``conversion.attribution`` decide; ``deciding`` lets ``postback.due`` decide for every rule.
- ``settle.settle_facts`` (core): what the ledger owes the facts is handed over, exactly once.
- ``deliver.deliver`` (core): what is owed is sent until it is delivered or its schedule ends.

The API and the command line come in at ``notices.convert``; a file comes in at ``uploads``, each line a notice. Five doors, one notice.
"""
