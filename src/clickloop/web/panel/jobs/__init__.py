"""Pages of bulk jobs: uploads, exports, resends, reruns."""
