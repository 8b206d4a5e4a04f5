"""The forms in which one AST is written: each is the cheapest for another number of rows."""
