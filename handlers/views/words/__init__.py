"""What views say: one table of words for each thing there are several of."""
