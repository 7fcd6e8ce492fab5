"""The analytic report: from a workload and a card to records, pages and files."""
