"""The frame of all pages: layout, forms, flash messages, access."""
