"""Random monitors, analytic and nodal, for training and for trials."""
