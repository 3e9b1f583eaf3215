"""Small defects put into the pair's core, one at a time: the unit tests must fail for each."""
