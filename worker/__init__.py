"""Everything with a side effect: queues, database, downloads, commands.

Kept empty on purpose: `celeryconfig` imports `worker.settings`, and a name re-exported here
would close a circle.
"""
