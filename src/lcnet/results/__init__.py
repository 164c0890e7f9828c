"""Results of many pictures, on their way to a file: rows of text or arrays, formats, and what survives a crash."""
