"""What the app is told about a request, and what the member reads."""
