"""What the decoder takes from Llama."""
