"""Jobs in the ledger: bulk jobs, uploads and exports."""
