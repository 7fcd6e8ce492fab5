"""Cards: what is per model and not in its code, the sizes of its images, and how it looks at pages."""
