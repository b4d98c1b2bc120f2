"""What recipes are composed of: each stage works in a run directory and can be taken up again."""
