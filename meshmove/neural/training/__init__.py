"""Training of the mover network, without mesh data."""
