"""The four logs as people and programs read them: clicks, conversions, notices (Conversions - In), postbacks (Conversions - Out)."""
