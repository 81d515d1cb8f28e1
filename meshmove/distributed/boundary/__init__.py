"""What nodes of a mesh in pieces may glide along."""
