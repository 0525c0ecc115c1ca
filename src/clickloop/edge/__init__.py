"""The public endpoints: campaign links, notices, the pixel, over our own HTTP protocol."""
