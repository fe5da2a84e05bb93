"""What is taken off the built pages: rules of style sheets that cannot match, and nothing else."""

import pytest

from _literate.theme.light_pages import Names, light, without_unused

USED = Names({"seen", "also-seen", "bs-"})


@pytest.mark.parametrize(
    "rule",
    [
        ".seen{color:red}",
        "p > a:hover{color:red}",
        ".seen.also-seen::before{content:\"} .lost {\"}",
        "a:not(.lost){color:red}",
        ":is(.lost, .seen) p{color:red}",
        "[class*=lost]{color:red}",
        ".bs-tooltip-auto{color:red}",
        ".sm\\:seen{color:red}",
        "@font-face{font-family:lost;src:url(lost.woff2)}",
        "@keyframes lost{0%{opacity:.5}}",
        "@media (min-width: 10px){.seen{color:red}}",
    ],
)
def test_what_may_match_stays(rule):
    assert without_unused(rule, USED).replace("\n", "") == rule


@pytest.mark.parametrize(
    "rules, left",
    [
        (".lost{color:red}", ""),
        (".seen .lost, .seen > p{color:red}", ".seen > p{color:red}"),
        (".seen, :is(a, .lost), .lost{color:red}", ".seen,:is(a, .lost){color:red}"),
        ("p.lost:not(.seen){color:red}", ""),
        ("@media print{.lost{color:red}} p{color:red}", "p{color:red}"),
        ("@supports (display: grid){@media print{p{color:red}.lost{color:red}}}",
         "@supports (display: grid){@media print{p{color:red}}}"),
    ],
)  # fmt: skip
def test_what_cannot_match_goes(rules, left):
    assert without_unused(rules, USED).replace("\n", "") == left


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
