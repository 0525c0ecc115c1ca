"""Explaining everything: traces, the dry run, the check of the chain, the self-audit, the doctor."""
