"""The pure heart of flowbook: records, states, the run protocol, graph, view, schedule maths.

Nothing in here does I/O, reads a clock, starts a thread or knows IPython or SQL. Everything else performs what this
package decides.
"""
