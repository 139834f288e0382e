"""The whole system in one go, on this machine alone: `python -m worker demo`.

A handful of members whose photos lie on a web server that the demo starts, an Excel file, the real
commands, a real worker process, and at the end a table and a contact sheet. Every member stands
for one situation and has an expected verdict.
"""
