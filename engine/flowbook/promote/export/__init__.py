"""A notebook written as a Python module: its task cells as tasks and a flow, or the cells that one flow needs."""
