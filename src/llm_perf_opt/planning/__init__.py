"""Capacity plans: what fits on a card, how many pages a second, how long a page waits, and what that costs."""
