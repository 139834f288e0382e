"""What is counted: what waits, who has failed, and all there is."""
