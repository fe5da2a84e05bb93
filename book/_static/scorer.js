// Sphinx gives every page with a word of the query in any of its headings the same score, and sorts them by their numbers
// as if these were words: 10, 20, 5. A word in the title of the page itself decides between them.
var Scorer = {
  score: ([, title, , , score]) => {
    const words = (new URLSearchParams(location.search).get("q") || "").toLowerCase().split(/\W+/).filter(Boolean);
    const named = title.replace(/<[^>]*>/g, "").toLowerCase();
    return score + words.filter(word => named.includes(word)).length;
  },
  objNameMatch: 11, objPartialMatch: 6, objPrio: { 0: 15, 1: 5, 2: -5 }, objPrioDefault: 0,
  title: 15, partialTitle: 7, term: 5, partialTerm: 2,              // as Sphinx has them
};
