"""What crosses a queue: jobs, the names of queues and tasks, and identifiers."""
