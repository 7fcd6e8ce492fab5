"""The evaluator package in JavaScript: ES modules on BigInt, without dependencies."""
