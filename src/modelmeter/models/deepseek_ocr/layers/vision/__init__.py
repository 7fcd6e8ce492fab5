"""SAM, CLIP and the projector."""
