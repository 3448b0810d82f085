"""Damage that a child points at, drawn for an exam alone: nothing that is trained imports this."""
