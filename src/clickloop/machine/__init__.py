"""What the operating system gives: files, locks, sockets, processes, the log."""
