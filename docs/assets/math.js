// Formulas: what pymdownx.arithmatex marked, set by KaTeX, which lies beside this file.
document$.subscribe(() => {
  for (const element of document.querySelectorAll(".arithmatex")) {
    const tex = element.textContent.trim().replace(/^\\[([]/, "").replace(/\\[)\]]$/, "");
    katex.render(tex, element, { displayMode: element.tagName === "DIV", throwOnError: false });
  }
});
