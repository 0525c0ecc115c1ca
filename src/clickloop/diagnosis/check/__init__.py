"""The check of the whole chain, source → tracker → network → tracker → source: its set-up and its recent traffic."""
