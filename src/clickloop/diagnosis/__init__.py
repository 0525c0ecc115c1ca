"""Diagnosis: traces, dry runs, the check of the set-up, the self-audit, the doctor."""
