"""Dashboards as code, and the JSON they build."""
