"""The panel under /panel: a file per page, its template beside it. Each page calls the same functions as the API's doors."""
