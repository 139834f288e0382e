"""`python -m worker demo`: the whole system in one run, on this machine alone.

A handful of members whose photos lie on a web server that the demo starts, an Excel file, the real
commands, a real worker process, and at the end a table and a contact sheet. Every member is a scenario
with an expected verdict.
"""
