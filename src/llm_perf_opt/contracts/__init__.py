"""Requests and summaries that other programs exchange with ours."""
