"""Thin converters between meshmove and other mesh libraries."""
