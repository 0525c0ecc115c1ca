"""The four logs, ready to be shown: clicks, conversions, notices (Conversions - In) and postbacks (Conversions - Out)."""
