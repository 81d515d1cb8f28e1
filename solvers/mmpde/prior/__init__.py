"""What a model knows of its data besides its weights: ranges, values on boundaries, a state at rest, sizes of cells."""
