"""What everything else stands on: errors, files, strict JSON, Markdown."""
