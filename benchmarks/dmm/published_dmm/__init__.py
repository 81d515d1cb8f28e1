"""The published Data-free Mesh Mover as a baseline (Hu, Wang & Ma, Better Neural PDE Solvers Through Data-Free Mesh
Movers, ICLR 2024, arXiv 2312.05583), written anew from its description.

One network for each geometry and resolution: a branch reads the field at the nodes, a trunk reads coordinates, and an
output network makes of both a potential phi; a node moves from xi to xi + grad phi. `network` has the networks, `case`
the monitor and the samples of a geometry, `losses` the loss, `train` Adam and the last layer's BFGS step.
"""
