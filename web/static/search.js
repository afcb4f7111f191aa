// Suggestions beside the search fields. Without this script, the fields send their text to the page of results.
"use strict";
(() => {
  const root = document.body.dataset.root;
  const address = (result) => `${root}id?iri=${encodeURIComponent(result.iri)}`;

  function attach(input) {
    const form = input.closest("form");
    let list = form.querySelector(".suggestions");
    if (!list) {
      list = document.createElement("ul");
      list.className = "suggestions";
      list.setAttribute("aria-label", "Suggestions");
      list.hidden = true;
      input.parentElement.append(list);
    }
    let timer = 0;
    let latest = 0;
    const show = (results) => {
      list.replaceChildren(
        ...results.slice(0, 8).map((result) => {
          const item = document.createElement("li");
          const link = document.createElement("a");
          link.href = address(result);
          link.textContent = result.label;
          if (result.match.name !== result.label) link.textContent += ` (${result.match.name})`;
          const kind = document.createElement("span");
          kind.className = "count";
          kind.textContent = ` ${(result.kind || result.type).replaceAll("-", " ")}`;
          link.append(kind);
          item.append(link);
          return item;
        }),
      );
      list.hidden = results.length === 0;
    };
    const ask = async () => {
      const text = input.value.trim();
      const own = ++latest;
      if (text.length < 2) return show([]);
      try {
        const response = await fetch(`${root}v1/search?q=${encodeURIComponent(text)}`, { headers: { Accept: "application/json" } });
        const found = response.ok ? (await response.json()).results : [];
        if (own === latest) show(found);
      } catch {
        show([]);
      }
    };
    input.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(ask, 150);
    });
    form.addEventListener("keydown", (event) => {
      const links = [...list.querySelectorAll("a")];
      const at = links.indexOf(document.activeElement);
      if (event.key === "Escape") {
        list.hidden = true;
        input.focus();
      } else if (!list.hidden && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
        event.preventDefault();
        const next = at + (event.key === "ArrowDown" ? 1 : -1);
        (links[next] || input).focus();
      }
    });
    form.addEventListener("focusout", (event) => {
      if (!form.contains(event.relatedTarget)) list.hidden = true;
    });
  }

  document.querySelectorAll('form[role="search"] input[type="search"]').forEach(attach);
})();
