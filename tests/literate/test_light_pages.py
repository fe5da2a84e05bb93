"""What is taken off the built pages: icons that occur nowhere, scripts that nothing needs, and nothing else."""

import pytest

from _literate.theme.light_pages import light, without_unused

USED = {"fa-link", "fa-moon"}


@pytest.mark.parametrize(
    "rule",
    [
        '.fa-link:before{content:"\\f0c1"}',
        '.fa-chain:before,.fa-link:before{content:"\\f0c1"}',
        '.fa-lost{color:red}',
        '.fa-lost:before{color:red}',
        '.lost:before{content:"\\f0c1"}',
        '.fa-lost a:before{content:"\\f0c1"}',
    ],
)
def test_what_may_be_needed_stays(rule):
    assert without_unused(rule, USED) == rule


def test_icons_that_occur_nowhere_go():
    css = 'p{color:red}.fa-lost:before{content:"\\f0c2"}.fa-a:before,.fa-b:before{content:"\\30 "}a{color:red}'
    assert without_unused(css, USED) == "p{color:red}a{color:red}"


def test_scripts_stay_where_they_are_needed(tmp_path):
    (tmp_path / "a.css").write_text("p{color:red}")
    icons, index, formulas = (f'<script src="../_static/{name}.js?v=1"></script>' for name in
                              ("scripts/fontawesome", "searchtools", "mathjax/tex-chtml"))  # fmt: skip
    page = f'{icons}{index}{formulas}<link href="a.css?v=1"><p>'
    file = tmp_path / "page.html"
    style = light(page, file).removesuffix("<p>")
    assert style.startswith('<link href="a.css?v=') and not style.endswith('"a.css?v=1">')
    assert light(f'{page}<b id="search-results">', file) == f'{index}{style}<p><b id="search-results">'
    assert light(f'{page}<b class="math notranslate">', file) == f'{formulas}{style}<p><b class="math notranslate">'
