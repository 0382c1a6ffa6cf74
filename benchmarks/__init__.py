"""Commands that print every speed figure quoted anywhere. They measure; nothing passes or fails here."""
