"""Scheduling and retention: calendar events, scheduler, simulation, restore points to keep. Pure."""
