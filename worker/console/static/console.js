// What every page needs. No page depends on it: forms and links work without.
"use strict";

(() => {
  // Photos are blurred while the window is not in front, where the operator wants it (data-blur).
  if ("blur" in document.body.dataset) {
    const follow = () => document.body.classList.toggle("away", document.hidden || !document.hasFocus());
    for (const name of ["blur", "focus", "pageshow"]) window.addEventListener(name, follow);
    document.addEventListener("visibilitychange", follow);
    follow();
  }

  // Messages at the corner go away by themselves; those about errors stay.
  const corner = document.getElementById("say");
  window.say = (text, kind = "good") => {
    const notice = document.createElement("div");
    notice.className = `notice ${kind}`;
    notice.textContent = text;
    corner.append(notice);
    if (kind !== "bad") setTimeout(() => notice.remove(), 6000);
  };
})();
