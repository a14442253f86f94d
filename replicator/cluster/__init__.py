"""The cluster that the nodes share: nodes, storages, guests with their owners, and jobs."""
