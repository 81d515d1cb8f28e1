"""Finite elements: the references that everything else is measured against."""
