"""What proves the formulas of DeepSeek-OCR: cases, points, another implementation, and the list of all proofs."""
