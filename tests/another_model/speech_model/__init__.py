"""A model of a family of its own, as another distribution would bring it: speech in, words out."""
