"""The conversion: what a notice says, and what becomes of the click it names."""
