"""Commands about dead letters and the queues."""
