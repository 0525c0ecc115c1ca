"""Diagnosis endpoints: check, simulation, health, receivers."""
