"""The check of the whole chain, source → tracker → network → tracker → source: as it is set up, and by what came lately."""
