"""People of the console: accounts, roles and their history, signing in, sessions."""
