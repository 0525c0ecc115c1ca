"""What all pages share: layout, forms, flash messages, access."""
