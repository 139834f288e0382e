"""What operators do about members, dead jobs and models: for the commands and for the console alike."""
