"""The network that aligns: cells turned and stretched to a field, trained on what interpolation loses."""
