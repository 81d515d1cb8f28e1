"""Pictures and films of moved meshes, solutions and trajectories, by PyVista."""
