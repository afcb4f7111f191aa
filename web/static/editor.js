// The editor of queries. It asks nobody but this server: the completers of the library that ask public services are
// replaced by completions from the graph, and the prefixes come from here.
"use strict";
(async () => {
  const root = document.body.dataset.root;
  const base = document.getElementById("workbench").dataset.base;
  const endpoint = new URL(`${root}sparql`, location.href).href;
  document.getElementById("endpoint").textContent = endpoint;

  const ask = async (path) => {
    const response = await fetch(`${root}sparql/editor/${path}`, { headers: { Accept: "application/json" } });
    if (!response.ok) throw new Error(`${path}: ${response.status}`);
    return response.json();
  };
  const [prefixes, { examples }] = await Promise.all([ask("prefixes"), ask("examples")]);
  const Yasqe = Yasgui.Yasqe;
  const Yasr = Yasgui.Yasr;

  // -- completions

  const shortened = (iri) => {
    let best = null;
    for (const [prefix, namespace] of Object.entries(prefixes)) {
      const rest = iri.slice(namespace.length);
      if (iri.startsWith(namespace) && /^\w[\w-]*$/.test(rest) && (!best || namespace.length > best.namespace.length))
        best = { prefix, namespace, text: `${prefix}:${rest}` };
    }
    return best || { text: `<${iri}>` };
  };
  const asked = new Map();
  const completions = (text, sort) => {
    const key = `${sort} ${text}`;
    if (!asked.has(key)) {
      const query = new URLSearchParams({ q: text, sort });
      asked.set(key, ask(`completions?${query}`).then((found) => found.completions, () => []));
    }
    return asked.get(key);
  };
  const labels = new Map();
  const isName = (token) => /^[<\w:.-]*$/.test(token.string) && /\w/.test(token.string) && token.type !== "string";
  const own = {
    name: "terms",
    bulk: false,
    autoShow: true,
    isValidCompletionPosition: (yasqe) => {
      const token = yasqe.getCompleteToken();
      const line = yasqe.getDoc().getLine(yasqe.getDoc().getCursor().line);
      return isName(token) && !/^\s*(prefix|base)\b/i.test(line) && !/^(select|where|filter|optional|order|limit|graph|union|ask|construct|describe|distinct|group|by|values|bind|as|a)$/i.test(token.string);
    },
    get: async (yasqe, token) => {
      const word = token.string.trim().replace(/^</, "");
      const text = word.startsWith("http") ? word.replace(/^.*[/#]/, "") : word.replace(/^[\w-]*:/, "");
      if (text.length < 2) return [];
      const predicate = (token.state.possibleCurrent || []).includes("a");
      const found = await completions(text, predicate ? "property" : "");
      return found.map(({ iri, label, sort }) => {
        const { text: name, prefix, namespace } = shortened(iri);
        labels.set(name, { label, sort, prefix, namespace });
        return name;
      });
    },
    postprocessHints: (yasqe, hints) =>
      hints.map((hint) => {
        const { label, sort, prefix, namespace } = labels.get(hint.text);
        return {
          ...hint,
          displayText: label ? `${hint.text}  –  ${label} (${sort})` : hint.text,
          hint: (editor, data, picked) => {
            editor.replaceRange(picked.text, picked.from || data.from, picked.to || data.to, "complete");
            if (prefix && !(prefix in yasqe.getPrefixesFromQuery())) yasqe.addPrefixes({ [prefix]: namespace });
          },
        };
      }),
  };
  Yasqe.Autocompleters.prefixes.get = () => Object.entries(prefixes).map(([prefix, iri]) => `${prefix}: <${iri}>`);
  Yasqe.Autocompleters.prefixes.persistenceId = undefined;
  Yasqe.defaults.prefixCcApi = null;
  Yasqe.registerAutocompleter(own);

  // -- errors

  let gui = null;
  const marked = [];
  const problem = async (error) => {
    let document_;
    try {
      document_ = JSON.parse(error.text);
    } catch {
      return undefined;
    }
    if (!document_ || !document_.title) return undefined;
    const shown = document.createElement("div");
    shown.className = "problem";
    shown.setAttribute("role", "alert");
    const heading = document.createElement("h2");
    heading.textContent = document_.title;
    const list = document.createElement("dl");
    const detail = (document_.detail || "").replace(`${document_.place}: `, "").replace(` ${document_.mend}`, "");
    for (const [name, text] of [["Where", document_.place], ["What", detail], ["Mend", document_.mend]]) {
      if (!text) continue;
      const term = document.createElement("dt");
      const description = document.createElement("dd");
      term.textContent = name;
      description.textContent = text;
      list.append(term, description);
    }
    shown.append(heading, list);
    const place = /line (\d+), column (\d+)/.exec(document_.place || "");
    if (place && gui) {
      const editor = gui.getTab().getYasqe();
      const position = { line: Number(place[1]) - 1, ch: Number(place[2]) - 1 };
      marked.push(editor.getDoc().addLineClass(position.line, "background", "faulty"));
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = `Go to line ${place[1]}`;
      button.addEventListener("click", () => {
        editor.getDoc().setCursor(position);
        editor.focus();
      });
      shown.append(button);
    }
    return shown;
  };
  Yasr.defaults.errorRenderers = [problem];

  // -- the editor

  const start = `PREFIX nxl: <${prefixes.nxl}>\nPREFIX rdfs: <${prefixes.rdfs}>\n\nSELECT ?therapy ?label\nWHERE {\n  ?therapy rdfs:subClassOf nxl:Monotherapy ; rdfs:label ?label .\n  FILTER (LANG(?label) = "en")\n}\nORDER BY ?label\n`;
  Yasqe.defaults.value = start;
  gui = new Yasgui(document.getElementById("yasgui"), {
    requestConfig: { endpoint, method: "POST" },
    endpointCatalogueOptions: { getData: () => [{ endpoint }] },
    copyEndpointOnNewTab: false,
    autofocus: false,
    persistenceId: `nextline ${location.pathname}`,
    yasqe: { value: start, autocompleters: ["prefixes", "variables", "terms"], createShortLink: undefined, resizeable: true },
    // A shared link brings a query, never another endpoint.
    populateFromUrl: (given) => ({ ...given, requestConfig: { ...given.requestConfig, endpoint } }),
  });
  for (const tab of Object.values(gui._tabs)) tab.setEndpoint(endpoint);
  gui.on("query", (_, tab) => {
    while (marked.length) tab.getYasqe().getDoc().removeLineClass(marked.pop(), "background", "faulty");
  });
  for (const field of document.querySelectorAll(".CodeMirror textarea")) field.setAttribute("aria-label", "SPARQL query");

  // -- results link to the pages of this server

  const localise = () => {
    for (const link of document.querySelectorAll(`#yasgui a[href^="${CSS.escape(base).replace(/\\([/:.])/g, "$1")}"]`)) {
      link.href = `${root}id/${link.getAttribute("href").slice(base.length)}`;
    }
  };
  new MutationObserver(localise).observe(document.getElementById("yasgui"), { childList: true, subtree: true });

  // -- examples

  const list = document.getElementById("questions");
  const filter = document.getElementById("filter");
  const run = (example) => {
    const tab = gui.addTab(true, { name: example.name, yasqe: { value: example.query }, requestConfig: { endpoint } }, { avoidDuplicateTabs: true });
    tab.setEndpoint(endpoint);
    tab.getYasqe().setValue(example.query);
    tab.query().catch(() => {});
  };
  const draw = () => {
    const wanted = filter.value.trim().toLowerCase();
    const shown = examples.filter((e) => `${e.question} ${e.name}`.toLowerCase().includes(wanted));
    list.replaceChildren(
      ...shown.map((example) => {
        const item = document.createElement("li");
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = example.question;
        button.title = example.summary;
        button.dataset.name = example.name;
        button.addEventListener("click", () => run(example));
        item.append(button);
        return item;
      }),
    );
    if (!shown.length) list.textContent = "No question has these words.";
  };
  filter.addEventListener("input", draw);
  draw();
  if (matchMedia("(max-width: 56rem)").matches) document.getElementById("examples").open = false;
  document.body.dataset.ready = "yes";
})().catch((error) => {
  document.getElementById("questions").textContent = `The editor could not start: ${error.message}`;
});
