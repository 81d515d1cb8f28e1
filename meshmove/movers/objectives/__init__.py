"""What movers make small: functionals of the node positions with exact gradients, each infinite on invalid meshes."""
