"""Models beside each other, on the same pages: what each costs, and from which output on one is cheaper."""
