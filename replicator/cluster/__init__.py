"""What the nodes share: nodes, storages, guests with their owners, and jobs."""
