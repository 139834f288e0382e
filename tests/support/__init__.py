"""What the tests share: servers of their own, a photo host, the model bundle."""
