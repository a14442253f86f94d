"""The command ``zsr``: one file per noun. A command's module is imported only when it is used."""
