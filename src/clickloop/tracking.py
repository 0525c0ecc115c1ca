"""READ THIS FIRST. The loop as named steps: take_click, take_notice, settle, deliver."""
