"""What is predicted of a mesh: the error of its elements, and whether it resolves the field at all."""
