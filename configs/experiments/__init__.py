"""Tables of papers, and contests of one's own: each file is one experiment."""
