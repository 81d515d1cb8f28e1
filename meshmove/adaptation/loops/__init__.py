"""Solves and moves in turns: of the field itself, down an energy, or for a goal."""
