"""The panels of the dashboards, by subject."""
