"""Renders notices: content first, then layout by templates."""
