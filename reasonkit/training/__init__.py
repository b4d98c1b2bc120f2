"""What changes weights; the only importers of trl and peft, but for a client of vLLM's servers."""
