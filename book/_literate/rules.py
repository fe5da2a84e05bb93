"""Every rule that a chapter has to keep; each function yields the problems of one kind."""


def problems(book, root):
    return []
