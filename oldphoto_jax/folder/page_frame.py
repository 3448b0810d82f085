"""How the page of `folder.page` looks and behaves: what stands around its cards."""

from __future__ import annotations

import string

TEMPLATE = string.Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
$style</style>
</head>
<body>
<header>
<h1>$title</h1>
<nav aria-label="Which photos are shown">
<button type="button" data-show="" aria-pressed="true">all: $total</button>
$filters</nav>
</header>
<main>
$cards
</main>
<footer>
<p>Pictures here are small; click one for the full file. Colours, and what fills large holes, are
plausible guesses: nobody can tell from a photo what was there.</p>
</footer>
<dialog aria-label="Before and after">
<div class="pair"></div>
<p><span>Drag: on the left as it came, on the right what was made of it.</span>
<button type="button" class="close">close</button></p>
</dialog>
<script>
$script</script>
</body>
</html>
""")

STYLE = """\
:root { color-scheme: light dark; --paper: #faf8f3; --card: #fff; --ink: #33302a; --line: #d8d3c8;
  --link: #1f5a96; --bad: #a32218; --guess: #8a5a00; --good: #2d6a35; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #1b1a18; --card: #262421; --ink: #e8e4da; --line: #45413a; --link: #8fc1f2;
    --bad: #ff8f82; --guess: #f0bd5e; --good: #8fd29a; } }
body { margin: 0 auto; max-width: 120rem; padding: 1rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
[hidden] { display: none !important; }
a { color: var(--link); }
button { font: inherit; color: inherit; background: var(--card); border: 1px solid var(--line);
  border-radius: .4rem; padding: .1rem .6rem; cursor: pointer; }
button[aria-pressed=true] { background: var(--ink); color: var(--paper); }
nav { display: flex; flex-wrap: wrap; gap: .5rem; }
article { margin: 1rem 0; padding: .8rem 1rem; background: var(--card);
  border: 1px solid var(--line); border-radius: .5rem;
  content-visibility: auto; contain-intrinsic-size: auto 22rem; }
h2 { margin: 0; font-size: 1.1rem; overflow-wrap: anywhere; }
p { margin: .3rem 0; }
.status { color: var(--good); }
[data-status=failed] .status { color: var(--bad); }
[data-status=beyond_training] .status { color: var(--guess); }
.reason { overflow-wrap: anywhere; }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem; margin: .6rem 0; }
figure { margin: 0; max-width: 100%; }
figure img { display: block; height: 15rem; width: auto; max-width: 100%; object-fit: contain;
  object-position: bottom; }
figcaption { padding-top: .3rem; text-align: center; }
dialog { padding: 1rem; max-width: none; background: var(--card); color: var(--ink);
  border: 1px solid var(--line); border-radius: .5rem; }
dialog::backdrop { background: rgb(0 0 0 / 70%); }
dialog p { display: flex; gap: 1rem; justify-content: space-between; }
.pair { --cut: 50%; display: grid; position: relative; width: fit-content; margin: auto; }
.pair > * { grid-area: 1 / 1; }
.pair img { display: block; width: min(90vw, 60rem, 75vh * var(--aspect)); height: auto; }
.pair img + img { clip-path: inset(0 0 0 var(--cut)); }
.pair::after { content: ""; position: absolute; inset: 0 auto 0 var(--cut); width: 2px;
  background: #fff; box-shadow: 0 0 3px #000; pointer-events: none; }
.pair input { z-index: 1; width: 100%; height: 100%; margin: 0; opacity: 0; cursor: ew-resize; }
.pair:focus-within { outline: 2px solid var(--link); }
"""

SCRIPT = """\
const dialog = document.querySelector("dialog"), pair = dialog.querySelector(".pair");
document.querySelector("nav").addEventListener("click", ({ target }) => {
  const status = target.dataset.show;
  if (status === undefined) return;
  for (const card of document.querySelectorAll("article"))
    card.hidden = status !== "" && card.dataset.status !== status;
  for (const button of document.querySelectorAll("nav button"))
    button.setAttribute("aria-pressed", button === target);
});
document.querySelector("main").addEventListener("click", ({ target }) => {
  if (!target.matches(".compare")) return;
  const before = target.closest("article").querySelector(".before img");
  const after = target.closest("figure").querySelector("img");
  const slider = document.createElement("input");
  Object.assign(slider, { type: "range", min: 0, max: 100, step: "any", value: 50 });
  slider.setAttribute("aria-label", "How much of the original is shown, in percent");
  slider.oninput = () => pair.style.setProperty("--cut", `${slider.value}%`);
  slider.oninput();
  pair.style.setProperty("--aspect", before.naturalWidth / before.naturalHeight);
  pair.replaceChildren(before.cloneNode(), after.cloneNode(), slider);
  dialog.showModal();
});
dialog.addEventListener("click", ({ target }) => {
  if (target === dialog || target.matches(".close")) dialog.close();
});
"""
