"""One module per vendor class."""
