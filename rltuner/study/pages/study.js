"use strict";
// Playing, counting and keys. Without this file the forms stay disabled, so nobody answers without listening.

(() => {
  const form = document.querySelector("form[data-listen]");
  if (!form) return;

  const status = form.querySelector("[role=status]");
  const after = form.querySelector("[data-after]");
  const clips = [...form.querySelectorAll("[data-clip]")].map(makeClip);
  const store = "plays " + (form.dataset.trial || "");
  const kept = recall();
  clips.forEach((clip, index) => { clip.plays = kept[index] || 0; });
  update();

  function makeClip(box) {
    const clip = {
      box,
      name: box.dataset.clip,
      key: box.dataset.key,
      audio: box.querySelector("audio"),
      button: box.querySelector("button"),
      label: box.querySelector(".label"),
      bar: box.querySelector("progress"),
      heard: box.querySelector(".heard"),
      plays: 0,
    };
    clip.play = clip.label.textContent;
    clip.button.addEventListener("click", () => toggle(clip));
    clip.audio.addEventListener("ended", () => { clip.plays += 1; remember(); stop(clip); tell(clip); });
    clip.audio.addEventListener("error", () => say("The sound could not be loaded. Please reload the page."));
    return clip;
  }

  function toggle(clip) {
    if (clip.box.classList.contains("playing")) {
      stop(clip);
      return;
    }
    clips.forEach(stop);
    clip.audio.currentTime = 0;
    clip.audio.play().then(() => {
      clip.box.classList.add("playing");
      clip.label.textContent = clip.play.replace("Play", "Stop");
      draw(clip);
    }).catch(() => say("The sound could not be played. Please reload the page."));
  }

  function stop(clip) {
    clip.audio.pause();
    clip.box.classList.remove("playing");
    clip.label.textContent = clip.play;
    clip.bar.value = 0;
    update();
  }

  function draw(clip) {
    if (!clip.box.classList.contains("playing")) return;
    if (clip.audio.duration) clip.bar.value = clip.audio.currentTime / clip.audio.duration;
    requestAnimationFrame(() => draw(clip));
  }

  function update() {
    for (const clip of clips) {
      clip.box.classList.toggle("done", clip.plays > 0);
      if (clip.plays) clip.heard.textContent = clip.plays === 1 ? "Heard" : `Heard ${clip.plays} times`;
      const field = form.elements["plays_" + clip.name];
      if (field) field.value = Math.min(clip.plays, 1000);
    }
    after.disabled = !clips.every((clip) => clip.plays > 0);
  }

  function tell(clip) {
    const missing = clips.find((other) => !other.plays);
    if (missing) say(`Heard ${clip.name.toUpperCase()}. Now play ${missing.name.toUpperCase()}.`);
    else if (clips.length > 1) say("Heard both. You can answer now, or listen again.");
    else say("Heard. You can go on now.");
  }

  function say(text) { status.textContent = text; }

  // A reload does not forget what was heard.
  function remember() {
    try { sessionStorage.setItem(store, JSON.stringify(clips.map((clip) => clip.plays))); } catch { /* forgets */ }
  }
  function recall() {
    try { return JSON.parse(sessionStorage.getItem(store)) || []; } catch { return []; }
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const clip = clips.find((one) => one.key === event.key.toLowerCase());
    if (clip) {
      toggle(clip);
    } else if (/^[1-5]$/.test(event.key) && !after.disabled) {
      const open = [...form.querySelectorAll(".question")];
      const question = open.find((one) => one.contains(document.activeElement) && !one.querySelector(":checked"))
        || open.find((one) => !one.querySelector(":checked")) || open[open.length - 1];
      const radio = question && question.querySelector(`input[value="${event.key}"]`);
      if (!radio) return;
      radio.checked = true;
      radio.focus();
    } else if (event.key === "Enter" && !after.disabled && !event.target.closest("button, a")) {
      form.requestSubmit();
    } else {
      return;
    }
    event.preventDefault();
  });

  // One submission only, however often it is clicked; the server counts one anyway.
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
    clips.forEach((clip) => clip.audio.pause());
  });
  window.addEventListener("pageshow", () => { delete form.dataset.sent; });
})();
