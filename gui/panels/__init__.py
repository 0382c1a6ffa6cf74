"""The views: widgets that show what they are told and say what the user does."""
