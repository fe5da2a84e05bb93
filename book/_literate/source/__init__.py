"""The book as data: `_toc.yml`, `pyproject.toml` and the notebooks are read here, and every mistake in them is found."""
