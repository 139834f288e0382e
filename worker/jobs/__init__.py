"""The content of messages: jobs, identifiers, and the names of queues and tasks."""
