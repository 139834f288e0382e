"""Members, the reviews of people, and who was forgotten."""
