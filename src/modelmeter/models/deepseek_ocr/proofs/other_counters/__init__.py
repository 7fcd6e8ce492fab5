"""The stages of DeepSeek-OCR through other counters of FLOPs."""
