"""What a run came to, as a table in the terminal and as a page."""
