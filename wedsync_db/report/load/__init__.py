"""A load test, told: in a line, in words, as Markdown, as figures for programs, as a page, as JUnit's XML for CI."""
