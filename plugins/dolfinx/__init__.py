"""DOLFINx's meshes moved: `adapt`, `adapt_loop` and `MovingMesh` with `MeshTags`, in place if wanted.

On one process ``meshmove.adapt(domain, u)`` does the same; what is here takes tags, too::

    from meshmove.plugins.dolfinx import adapt

    out = adapt(domain, u, facet_tags=facets, cell_tags=cells)
    out.mesh                # a dolfinx.mesh.Mesh of the same topology, on which the tags are valid
    out.fields["field"]     # u on it
"""

from .converter import converter
from .moving import MovingMesh, adapt, adapt_loop, velocity_function
from .tags import with_tags

__all__ = ["MovingMesh", "adapt", "adapt_loop", "converter", "velocity_function", "with_tags"]
