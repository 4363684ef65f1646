"""What will go wrong when nobody is there: found in a notebook from its text, before it runs unattended.

Each module finds one kind of thing; `findings.findings` puts them in the order of the cells. Nothing of the notebook
runs.
"""
