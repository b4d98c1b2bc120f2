"""What changes weights; the only importers of trl and peft."""
