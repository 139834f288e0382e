"""Celery and kombu, hardened: transports, consumer, publisher, schedules."""
