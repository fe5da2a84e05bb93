"""What joins the chapters, the package that they export, and the pages: `source` reads, `commands` run, Sphinx builds."""
