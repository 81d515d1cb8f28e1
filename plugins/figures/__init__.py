"""What pictures are made of: sheets with panels, plane meshes drawn by Matplotlib, volume meshes by PyVista."""
