"""MathML Core, from presentation trees and from LaTeX in prose."""
