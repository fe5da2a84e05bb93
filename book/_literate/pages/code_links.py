"""In the code on every page, link the names that `lowrank` offers to their entries on the API page.

The extension sphinx-codeautolink does the same for any library by parsing each cell, and makes the build take three
times as long. Here the names are few and belong to nobody else, so that the highlighted text is enough.
"""

import re

from .crosslinks import api_page, book_of

CODE = re.compile(r'<div class="highlight-(?:i?python3?|default|pycon)[^"]*">.*?</pre>', re.DOTALL)


def link_names(app, pagename, templatename, context, doctree):
    """Wrap each public name in the code of a page in a link to its entry.

    Not so an attribute, which may be another library's, and not the name of an argument.
    """
    documented = [chapter for chapter in book_of(app).chapters if api_page(chapter) in app.env.all_docs]
    homes = {item.name: chapter for chapter in documented for item in chapter.public}
    if not homes or not (body := context.get("body")):
        return
    pages = {name: app.builder.get_relative_uri(pagename, api_page(chapter)) for name, chapter in homes.items()}
    names = "|".join(map(re.escape, homes))
    name = re.compile(rf'(?<!<span class="o">\.</span>)<span class="n[fc]?">({names})</span>(?!<span class="o">=</span>)')

    def link(match):
        entry = f"lowrank.{homes[match[1]].module}.{match[1]}"
        return f'<a class="code-link" href="{pages[match[1]]}#{entry}" title="{entry}">{match[0]}</a>'

    context["body"] = CODE.sub(lambda block: name.sub(link, block[0]), body)


def setup(app):
    app.connect("html-page-context", link_names)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
