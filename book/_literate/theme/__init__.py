"""What the theme and its companions leave to mend."""
