"""Models that correct a solver of the user's: the base, what it says of a state, and how much a correction counts."""
