"""Reports made from facts and ledger: figures by group, their names, and verdicts."""
