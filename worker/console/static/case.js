// The case in hand: keys, zoom, answers, the lease and the undo bar. What may be done is the server's to say.
"use strict";

(() => {
  const MOST_ZOOM = 8;
  const RENEW_EACH = 45;      // seconds between renewals while somebody is at work
  const WARN_BELOW = 60;      // seconds left
  const RENEW_FROM = 240;     // of the 300 of a fresh claim
  const token = () => JSON.parse(document.body.getAttribute("hx-headers") || "{}")["x-csrf-token"] || "";
  const field = (target) => target instanceof Element
    && target.closest("textarea, select, [contenteditable], input:not([type=radio], [type=checkbox], [type=hidden])");

  let page = null;            // the case that is shown

  const post = (path, values) => fetch(path, {
    method: "POST",
    headers: { "x-csrf-token": token(), "hx-request": "true" },
    body: new URLSearchParams(values),
  });

  // ---- One case ---------------------------------------------------------------------------------------------

  const newPage = (root) => ({
    root,
    step: root.dataset.step,
    all: (selector) => [...root.querySelectorAll(selector)],
    one: (selector) => root.querySelector(selector),
    positions: [...root.querySelectorAll(".pane.gallery[data-position]")].map((pane) => Number(pane.dataset.position)),
    current: 1,
    whole: false,
    marks: false,
    zoom: { scale: 1, x: 0, y: 0 },
    until: Date.now() + 1000 * Number(root.dataset.left),
    renewed: Date.now(),
    warned: false,
    lost: false,
  });

  const say = (text) => { if (text) window.say(text, "warn"); };

  const show = (position) => {
    if (!page.positions.includes(position)) return;
    page.current = position;
    for (const pane of page.all(".pane.gallery[data-position]")) pane.hidden = Number(pane.dataset.position) !== position;
    for (const part of page.all("fieldset.answer")) part.hidden = Number(part.dataset.position) !== position;
    for (const part of page.all(".of-photo")) {
      const its = Number(part.dataset.position);
      part.hidden = its !== 0 && its !== position;
    }
    for (const thumb of page.all(".thumb")) {
      const mine = Number(thumb.dataset.show) === position;
      mine ? thumb.setAttribute("aria-current", "true") : thumb.removeAttribute("aria-current");
      if (mine) thumb.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
    zoomTo({ scale: 1, x: 0, y: 0 });
    fetchWhole();
  };

  const move = (by) => {
    const at = page.positions.indexOf(page.current) + by;
    if (at >= 0 && at < page.positions.length) show(page.positions[at]);
  };

  const answerOf = (position) => page.one(`input[name="answer-${position}"]:checked`);
  const toAnswer = () => page.all("fieldset.answer").map((part) => Number(part.dataset.position));
  const unanswered = () => toAnswer().filter((position) => !answerOf(position));

  const answer = (word) => {
    const input = page.one(`input[name="answer-${page.current}"][value="${word}"]`);
    if (!input) return;
    input.checked = true;
    answered(input);
    if (page.step !== "blind") return;
    const left = unanswered();
    const next = left.find((position) => position > page.current) ?? left[0];
    if (next !== undefined) show(next);
  };

  const answered = (input) => {
    const thumb = page.one(`.thumb[data-show="${input.name.split("-")[1]}"]`);
    if (thumb) thumb.dataset.state = input.value;
    count();
    const corrected = page.one(".corrected");
    if (corrected) corrected.hidden = !page.all("fieldset.answer input").some((one) => one.checked !== one.defaultChecked);
  };

  const count = () => {
    const all = toAnswer().length, place = page.one(".answered");
    page.one(".submit")?.classList.toggle("incomplete", unanswered().length > 0);
    if (place) place.textContent = page.root.dataset.wordsAnswered.replace("#", all - unanswered().length).replace("$", all);
  };

  const submitAnswers = () => {
    const left = unanswered(), wrong = left.length ? left : unseen();
    if (!wrong.length) return true;
    show(wrong[0]);
    page.one(`input[name="answer-${wrong[0]}"]`).focus({ preventScroll: true });
    say(left.length ? page.root.dataset.wordsMissing : page.root.dataset.wordsUnseen);
    return false;
  };

  // Answered although it, or the selfie, could not be loaded: of that nobody can tell whose it is.
  const unseen = () => toAnswer().filter((position) => answerOf(position).value !== "cannot_tell"
    && [0, position].some((one) => page.one(`.pane[data-position="${one}"] .failed:not([hidden]) .failed-text`)));

  // ---- Deciding ---------------------------------------------------------------------------------------------

  const choose = (choice, { focus = true } = {}) => {
    const input = page.one(`input[name="choice"][value="${choice}"]`);
    if (!input) return;
    input.checked = true;
    chosen(focus);
  };

  const chosen = (focus = false) => {
    const choice = page.one('input[name="choice"]:checked')?.value;
    page.one(".ruling").hidden = !choice;
    for (const part of page.all(".for-choice, .confirm")) part.hidden = part.dataset.choice !== choice;
    if (choice === "new_photo" && !page.one('input[name="photo"]:checked')) {
      const input = page.one(`input[name="photo"][value="${page.current}"]`) || page.one('input[name="photo"]');
      if (input) input.checked = true;
    }
    memberText(choice);
    if (!choice || !focus) return;
    const first = page.one(`.for-choice[data-choice="${choice}"] input[name^="code-"]:checked`)
      || page.one(`.for-choice[data-choice="${choice}"] input[name^="code-"]`);
    first?.focus({ preventScroll: true });
    page.one(".ruling-body").scrollTop = 0;
  };

  const memberText = (choice) => {
    const code = choice === "new_photo" ? page.one('input[name="code-new_photo"]:checked')?.value || "-" : "";
    const photo = choice === "new_photo" ? page.one('input[name="photo"]:checked')?.value || "-" : "";
    for (const text of page.all(".member-text > [data-choice]")) {
      const its = text.dataset;
      text.hidden = its.choice !== choice || (its.code ?? "") !== code || (its.photo ?? "") !== photo;
    }
  };

  const cancel = () => {
    for (const input of page.all('input[name="choice"]')) input.checked = false;
    chosen();
    document.getElementById("main").focus({ preventScroll: true });
  };

  // ---- Photos: one zoom for both ------------------------------------------------------------------------------

  const zoomTo = ({ scale, x, y }) => {
    scale = Math.min(MOST_ZOOM, Math.max(1, scale));
    const view = page.one(".view"), wide = view.clientWidth, high = view.clientHeight;
    x = Math.min(0, Math.max(wide * (1 - scale), x));
    y = Math.min(0, Math.max(high * (1 - scale), y));
    page.zoom = { scale, x, y };
    for (const layer of page.all(".layer")) layer.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
    const level = page.one(".zoom-level");
    if (level) level.textContent = `${Math.round(100 * scale)} %`;
  };

  const zoomBy = (factor, at) => {
    const view = page.one(".view"), { scale, x, y } = page.zoom;
    const point = at || { x: view.clientWidth / 2, y: view.clientHeight / 2 };
    const to = Math.min(MOST_ZOOM, Math.max(1, scale * factor)), by = to / scale;
    zoomTo({ scale: to, x: point.x - (point.x - x) * by, y: point.y - (point.y - y) * by });
  };

  const within = (view, event) => {
    const box = view.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };

  const gestures = (view) => {
    const down = new Map();
    const spread = () => {
      const [a, b] = [...down.values()];
      return { distance: Math.hypot(a.x - b.x, a.y - b.y), middle: { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 } };
    };
    view.addEventListener("wheel", (event) => {
      event.preventDefault();
      zoomBy(Math.exp(-event.deltaY / 400), within(view, event));
    }, { passive: false });
    view.addEventListener("pointerdown", (event) => {
      if (event.target.closest("button")) return;
      view.setPointerCapture(event.pointerId);
      down.set(event.pointerId, within(view, event));
      view.classList.add("dragging");
    });
    view.addEventListener("pointermove", (event) => {
      const before = down.get(event.pointerId);
      if (!before) return;
      const now = within(view, event);
      if (down.size === 1) {
        zoomTo({ ...page.zoom, x: page.zoom.x + now.x - before.x, y: page.zoom.y + now.y - before.y });
        down.set(event.pointerId, now);
      } else if (down.size === 2) {
        const was = spread();
        down.set(event.pointerId, now);
        const is = spread();
        if (was.distance > 0) zoomBy(is.distance / was.distance, is.middle);
      }
    });
    const up = (event) => { down.delete(event.pointerId); view.classList.toggle("dragging", down.size > 0); };
    for (const name of ["pointerup", "pointercancel"]) view.addEventListener(name, up);
    view.addEventListener("dblclick", (event) => page.zoom.scale > 1 ? zoomTo({ scale: 1, x: 0, y: 0 }) : zoomBy(2.5, within(view, event)));
  };

  const pressed = (name, on) => page.one(`[data-do="${name}"]`)?.setAttribute("aria-pressed", String(on));

  const wholePhotos = (on) => {
    page.whole = on;
    for (const image of page.all(".layer img")) image.hidden = image.classList.contains("whole") !== on;
    showMarks(page.marks);
    pressed("whole", page.whole);
    zoomTo({ scale: 1, x: 0, y: 0 });
    fetchWhole();
  };

  const fetchWhole = () => {
    if (!page.whole) return;
    for (const image of page.all(".pane:not([hidden]) img.whole:not([src])")) image.src = image.dataset.src;
  };

  const showMarks = (on) => {
    page.marks = on;
    const shape = page.whole ? "whole" : "face";
    for (const marks of page.all(".marks")) marks.toggleAttribute("hidden", !on || marks.dataset.shape !== shape);
    pressed("marks", on);
  };

  const loaded = (image) => {
    image.closest(".view").querySelector(".failed").hidden = true;
    const pane = image.closest(".pane");
    const canvas = image.classList.contains("face") && page.one(`.thumb[data-show="${pane.dataset.position}"] canvas`);
    if (!canvas) return;
    const side = Math.min(image.naturalWidth, image.naturalHeight);
    const left = (image.naturalWidth - side) / 2, top = (image.naturalHeight - side) / 2;
    canvas.getContext("2d").drawImage(image, left, top, side, side, 0, 0, canvas.width, canvas.height);
  };

  const failed = async (image) => {
    if (image.hidden) return;
    const place = image.closest(".view").querySelector(".failed");
    place.hidden = false;
    try {  // why, in words
      const said = await (await fetch(image.src)).json();
      place.querySelector(".failed-text").textContent = said.text;
    } catch { /* what stands there is enough */ }
  };

  const retry = (button) => {
    const view = button.closest(".view");
    view.querySelector(".failed").hidden = true;
    for (const image of view.querySelectorAll("img[src]")) image.src = `${image.dataset.src}&again=${Date.now()}`;
  };

  const facesReady = () => Promise.all(page.all(".pane:not([hidden]) img.face").map((image) => image.decode().catch(() => null)));

  // ---- Time ---------------------------------------------------------------------------------------------------

  const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;

  const tick = () => {
    for (const bar of document.querySelectorAll(".undo[data-left]")) {
      bar.until ??= Date.now() + 1000 * Number(bar.dataset.left);
      const left = Math.ceil((bar.until - Date.now()) / 1000), place = bar.querySelector(".undo-left");
      if (left <= 0) bar.remove();
      else place.textContent = place.dataset.words.replace("#", left);
    }
    if (!page || page.lost) return;
    const left = Math.ceil((page.until - Date.now()) / 1000), line = page.one(".lease");
    if (left <= 0) { lose(page.one(".lost-text").dataset.words); return; }
    line.hidden = left > WARN_BELOW;
    if (!line.hidden) page.one(".lease-text").textContent = line.dataset.words.replace("#", clock(left));
    if (!line.hidden && !page.warned) { page.warned = true; say(page.one(".lease-text").textContent); }
  };

  const lose = (text) => {
    page.lost = true;
    page.one(".lease").hidden = true;
    page.one(".lost-text").textContent = text;
    page.one(".lost").hidden = false;
    page.one(".lost button").focus();
  };

  const atWork = (force = false) => {
    if (!page || page.lost) return;
    const now = Date.now(), left = (page.until - now) / 1000;
    if (!force && (left > RENEW_FROM || now - page.renewed < 1000 * RENEW_EACH)) return;
    page.renewed = now;
    renew(page);
  };

  const renew = async (its) => {
    try {
      const answer = await post("/review/renew", { case: its.root.dataset.case });
      if (answer.status === 204) { window.location.assign("/review"); return; }  // signed out meanwhile
      const said = await answer.json();
      if (its !== page) return;
      if (!answer.ok) { lose(said.text); return; }
      its.until = Date.now() + 1000 * said.left;
      its.warned = false;
    } catch { say(its.root.dataset.wordsOffline); }
  };

  // ---- Keys -----------------------------------------------------------------------------------------------------

  const LABELS = { Digit1: "genuine", Digit2: "impostor", Digit3: "cannot_tell", Numpad1: "genuine", Numpad2: "impostor", Numpad3: "cannot_tell" };
  const CHOICES = { KeyA: "approve", KeyN: "new_photo", KeyR: "reject", KeyE: "escalate" };
  // By the key's place, not its letter: with Korean letters switched on A is ㅁ.
  const KEYS = {
    KeyJ: () => move(1),
    KeyK: () => move(-1),
    KeyF: () => wholePhotos(!page.whole),
    KeyM: () => page.step === "evidence" && showMarks(!page.marks),
    Equal: () => zoomBy(1.4),
    NumpadAdd: () => zoomBy(1.4),
    Minus: () => zoomBy(1 / 1.4),
    NumpadSubtract: () => zoomBy(1 / 1.4),
    Digit0: () => zoomTo({ scale: 1, x: 0, y: 0 }),
    Numpad0: () => zoomTo({ scale: 1, x: 0, y: 0 }),
  };

  const undo = () => document.querySelector(".undo")?.requestSubmit();

  const enter = () => {
    if (!page) document.querySelector("form[data-enter]")?.requestSubmit();
    else if (page.step === "blind") page.one("form.answers").requestSubmit();
    else if (page.one('input[name="choice"]:checked')) page.one("form.decide").requestSubmit();
  };

  const key = (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || field(event.target) || document.querySelector("dialog[open]")) return;
    if (event.code === "Enter" || event.code === "NumpadEnter") {
      if (event.repeat || event.target.closest("a, button, summary")) return;
      event.preventDefault();
      enter();
      return;
    }
    if (event.repeat && !["KeyJ", "KeyK", "Equal", "Minus"].includes(event.code)) return;
    if (event.code === "KeyZ") { undo(); return; }
    if (!page) return;
    if (event.key === "?" || (event.shiftKey && event.code === "Slash")) help();
    else if (event.code === "Escape") cancelled();
    else if (event.code in LABELS) answer(LABELS[event.code]);
    else if (event.code in CHOICES) page.step === "evidence" && choose(CHOICES[event.code]);
    else if (event.code in KEYS) KEYS[event.code]();
    else return;
    event.preventDefault();
  };

  const cancelled = () => { if (page.step === "evidence") cancel(); };
  const help = () => page.one("dialog.help").showModal();

  const DO = {
    whole: () => wholePhotos(!page.whole),
    marks: () => showMarks(!page.marks),
    "zoom-in": () => zoomBy(1.4),
    "zoom-out": () => zoomBy(1 / 1.4),
    "zoom-reset": () => zoomTo({ scale: 1, x: 0, y: 0 }),
    help,
    stay: () => atWork(true),
  };

  // ---- Put together -----------------------------------------------------------------------------------------------

  const wire = (root) => {
    page = newPage(root);
    for (const view of page.all(".pane .view")) gestures(view);
    for (const image of page.all(".layer img")) {
      image.addEventListener("load", () => loaded(image));
      image.addEventListener("error", () => failed(image));
      if (image.complete && image.hasAttribute("src")) image.naturalWidth ? loaded(image) : failed(image);
    }
    root.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      if (event.detail > 0) button.blur();  // after a click the keys belong to the page again
      if (button.dataset.do) DO[button.dataset.do]();
      if (button.dataset.show) show(Number(button.dataset.show));
      if (button.classList.contains("retry")) retry(button);
    });
    root.addEventListener("change", (event) => {
      if (event.target.name?.startsWith("answer-")) answered(event.target);
      else if (event.target.closest("form.decide")) chosen();
    });
    // A key that chose a radio leaves the keys with the page: Enter submits.
    page.one("form.answers").addEventListener("submit", (event) => {
      if (page.step === "blind" && !submitAnswers()) { event.preventDefault(); event.stopImmediatePropagation(); }
    }, { capture: true });
    const first = page.step === "blind" ? unanswered()[0] : undefined;
    show(first ?? page.positions[0] ?? 1);
    count();
    if (page.one('input[name="choice"]:checked')) chosen();
    const its = page;
    facesReady().then(() => {
      its.root.dataset.ready = "";
      post("/review/ahead", { case: its.root.dataset.case }).catch(() => null);
    });
  };

  const begin = (moved) => {
    const root = document.querySelector(".case");
    page = null;
    if (root) wire(root);
    if (moved) document.querySelector("[data-focus]")?.focus({ preventScroll: true });
    tick();
  };

  document.addEventListener("keydown", key);
  for (const name of ["pointerdown", "keydown", "wheel"]) document.addEventListener(name, () => atWork(), { passive: true });
  document.body.addEventListener("htmx:afterSwap", () => begin(true));
  document.body.addEventListener("htmx:sendError", () => say(page?.root.dataset.wordsOffline));
  // Twice the same key, or Enter held down, is one decision.
  document.body.addEventListener("htmx:beforeRequest", (event) => {
    const form = event.target;
    if (form.dataset.busy) event.preventDefault();
    else form.dataset.busy = "yes";
  });
  document.body.addEventListener("htmx:afterRequest", (event) => { delete event.target.dataset?.busy; });
  setInterval(tick, 1000);
  begin(false);
})();
