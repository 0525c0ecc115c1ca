"""What all pages share: layout, forms, flash messages, who may enter."""
