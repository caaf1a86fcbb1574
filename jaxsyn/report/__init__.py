"""Reports: pages of tables, figures and words, as HTML, Markdown, CSV and LaTeX."""
