"""Jobs that users start: how each is entered, previewed, shown, listed and stopped."""
