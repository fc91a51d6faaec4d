"""The bilevel search by gradients."""
