"""Price books: YAML files of what cards cost by the hour."""
