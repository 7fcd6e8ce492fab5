"""DeepSeek-OCR: SAM, CLIP, a linear projector and a mixture-of-experts decoder."""
