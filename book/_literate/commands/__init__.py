"""What can be run: export the package, run the chapters, print the book."""
