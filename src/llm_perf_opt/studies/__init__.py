"""Scaling studies as files: pages, tables and pictures of what the library derives."""

from llm_perf_opt.studies.cards import list_cards
from llm_perf_opt.studies.folder import render_files, write_studies

__all__ = ["list_cards", "render_files", "write_studies"]
