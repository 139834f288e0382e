"""Faults on purpose: real servers and real workers are killed, stopped and cut off while jobs flow.

`make chaos` runs it all and prints a table; `tests/e2e/test_chaos.py` runs the short form. What counts:
every request ends in exactly one final state, the right one, whatever was killed meanwhile.
"""
