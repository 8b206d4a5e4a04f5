"""What the HTML pages share: template, styles, how plots look, and what to say when a package is missing."""
