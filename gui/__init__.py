"""The window. It subscribes to the feed and computes nothing that another program would need."""
