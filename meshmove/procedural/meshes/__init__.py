"""Random meshes of many families, for training and for trials."""
