"""The command ``zsr``: one module per subject. A command's module is imported only when it is used."""
