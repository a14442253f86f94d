"""``zsr doctor``: facts are gathered (`here`, `there`), and judged by pure functions, one module for each subject."""
