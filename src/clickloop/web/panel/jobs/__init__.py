"""Pages of jobs over many records: uploads, exports, resends, reruns."""
