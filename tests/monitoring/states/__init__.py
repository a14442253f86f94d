"""One module for each state in which a promise is broken or the monitoring is blind; see `tests.support.states`."""
