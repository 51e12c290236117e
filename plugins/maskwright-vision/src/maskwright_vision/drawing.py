"""Pictures of what a model was shown, what was hidden, and what it made of it."""
