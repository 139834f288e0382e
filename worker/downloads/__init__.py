"""Safe download of photos: addresses, connections, responses, circuit breaker."""
