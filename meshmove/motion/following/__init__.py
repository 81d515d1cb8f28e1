"""How nodes follow a field: how fast, where to, and on what course between."""
