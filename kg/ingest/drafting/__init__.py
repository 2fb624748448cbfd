"""A first ontology and mapping for a source that nobody has described yet, read off its tables; a person goes on from there."""
