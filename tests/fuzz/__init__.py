"""What strangers write, drawn at random; `make fuzz` draws for ten minutes."""
