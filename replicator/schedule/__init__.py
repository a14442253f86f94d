"""When jobs run and what is kept: calendar, scheduler, retention, simulation. Without effects."""
