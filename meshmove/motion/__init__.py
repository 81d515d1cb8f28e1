"""Meshes that move through time: where nodes should be for a field, and how fast they go there."""
