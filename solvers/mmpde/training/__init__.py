"""Training of the neural time stepper."""
