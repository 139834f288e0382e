"""What training reads: faces, augmented copies, pairs."""
