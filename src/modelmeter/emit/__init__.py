"""From simplified totals to text: programs, packages, pages; one module writes files."""
