"""The panel under /panel: one file per page, its template beside it. Pages call the same functions as the API's endpoints."""
