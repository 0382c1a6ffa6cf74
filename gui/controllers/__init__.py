"""What the panels show, worked out from the monitor. Free of Qt, so that it is tested without a screen."""
