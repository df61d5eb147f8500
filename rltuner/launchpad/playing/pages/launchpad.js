"use strict";
// The page: draws the board, sends presses, plays bars when they come. Where the socket dies the last bar goes on.

(() => {
  const byId = (id) => document.getElementById(id);
  const board = byId("board");
  const view = { size: null, picture: null, rows: [], at: [0, 0] };
  const link = { socket: null, offset: null, best: Infinity, wait: 500, isOpen: false };
  const clock = { number: -1, at: 0, seconds: 0, words: null, timer: 0, offset: null, audioOffset: null };
  let synth = null;
  const midi = new LaunchpadMidi.Midi((text) => { byId("midi-said").textContent = text; }, fromKey);

  // The socket

  function connect() {
    const place = new URL("socket", location.href);
    place.protocol = place.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(place);
    link.socket = socket;
    link.best = Infinity;
    socket.onopen = () => { link.isOpen = true; link.wait = 500; view.until = 0; ping(); };
    socket.onmessage = (event) => take(JSON.parse(event.data));
    socket.onclose = () => {
      link.isOpen = false;
      say("The connection is lost. The last bar plays on; trying again …", true);
      setTimeout(connect, link.wait);
      link.wait = Math.min(link.wait * 1.6, 5000);
    };
  }

  function send(message) {
    if (link.isOpen) link.socket.send(JSON.stringify(message));
  }

  function ping() {
    if (!link.isOpen) return;
    send({ t: "ping", c: performance.now() });
    setTimeout(ping, link.best === Infinity || link.pings < 8 ? 120 : 3000);
    link.pings = (link.pings || 0) + 1;
  }

  function take(message) {
    if (message.t === "pong") {
      const now = performance.now();
      const trip = now - message.c;
      if (trip < link.best) { link.best = trip; link.offset = (now + message.c) / 2 - 1000 * message.s; }
      link.best *= 1.02; // clocks drift: an old measurement counts for less
      return;
    }
    if (message.t === "no") { say(message.why, true); return; }
    if (message.t === "hello") build(message);
    if (link.offset === null) link.offset = performance.now() - 1000 * message.server;
    view.picture = message;
    draw();
    if (message.t !== "state") hear(message);
    if (!message.playing) stop();
  }

  // Time: a bar begins at a time of the server's clock, told apart from this page's by a constant offset.

  function hear(message) {
    if (!message.playing || message.n < 0) return;
    clock.number = message.n;
    // One offset for as long as the music plays: a better measurement must not move the grid, a wrong clock must.
    if (clock.offset === null || Math.abs(link.offset - clock.offset) > 40) clock.offset = link.offset;
    clock.at = 1000 * message.at + clock.offset;
    clock.seconds = message.seconds;
    clock.words = message.words;
    if (clock.at + 1000 * clock.seconds > performance.now()) sound();
    following();
  }

  function sound() {
    const at = clock.at;
    if (midi.output) midi.bar(clock.words, view.size.steps, view.size.lowest, at, clock.seconds);
    else if (synth && synth.context.state === "running") {
      const offset = synth.context.currentTime * 1000 - performance.now();
      if (clock.audioOffset === null || Math.abs(offset - clock.audioOffset) > 40) clock.audioOffset = offset;
      synth.bar(clock.words, view.size.steps, (at + clock.audioOffset) / 1000, clock.seconds);
    }
  }

  // Where no new bar has come shortly before this one ends, it plays again: the music goes on.
  function following() {
    clearTimeout(clock.timer);
    const end = clock.at + 1000 * clock.seconds;
    clock.timer = setTimeout(() => {
      if (!view.picture.playing) return;
      clock.at = end;
      sound();
      following();
    }, Math.max(0, end - performance.now() - 120));
  }

  function stop() {
    clearTimeout(clock.timer);
    clock.words = clock.offset = null;
    if (synth) synth.silence();
    midi.stop();
  }

  // Drawing

  function build(hello) {
    if (view.size && view.size.notes === hello.notes && view.size.beats === hello.beats) { view.size = hello; return; }
    view.size = hello;
    const { notes, beats, steps } = hello;
    document.documentElement.style.setProperty("--beats", beats);
    const titles = Array.from({ length: beats }, (_, beat) => (beat < beats - 1 ? `every ${2 << beat}` : "once"));
    view.titles = titles;
    byId("columns").replaceChildren(...["note", ...titles, "later by"].map((text) => Object.assign(document.createElement("span"), { textContent: text })));
    view.rows = [];
    board.replaceChildren();
    board.setAttribute("aria-rowcount", notes);
    for (let note = notes - 1; note >= 0; note -= 1) {
      const row = element("div", "row" + ([1, 3, 6, 8, 10].includes((hello.lowest + note) % 12) ? " black" : ""), { role: "row" });
      const name = element("button", "name", { "aria-pressed": "false", title: "Lock this note against the policy" });
      const lock = element("span", "lock", { "aria-hidden": "true" });
      lock.textContent = "●";
      name.append(hello.names[note], lock);
      name.addEventListener("click", () => send({ t: "lock", note, on: name.getAttribute("aria-pressed") !== "true" }));
      row.append(cell(name));
      const pads = titles.map((_, beat) => {
        const pad = element("button", "pad", { tabindex: "-1" });
        pad.addEventListener("click", () => press(note, beat));
        pad.addEventListener("focus", () => focusOn(note, beat, false));
        row.append(cell(pad));
        return pad;
      });
      const offset = element("label", "offset");
      const slider = element("input", "", { type: "range", min: 0, max: steps - 1, step: 1, "aria-label": `${hello.names[note]}: steps later`, tabindex: "-1" });
      const shown = element("span", "", { "aria-hidden": "true" });
      slider.addEventListener("input", () => { shown.textContent = slider.value; });
      slider.addEventListener("change", () => send({ t: "offset", note, to: Number(slider.value) }));
      offset.append(slider, shown);
      row.append(cell(offset));
      const track = element("canvas", "track", { width: steps * 8, height: 8, "aria-hidden": "true" });
      row.append(track);
      board.append(row);
      view.rows[note] = { row, name, pads, slider, shown, track, drawn: "" };
    }
    focusOn(notes >> 1, 3, false);
  }

  function cell(content) {
    content.setAttribute("role", content.getAttribute("role") || (content.tagName === "BUTTON" ? "button" : "group"));
    const box = element("div", "cell", { role: "gridcell" });
    box.style.display = "contents";
    box.append(content);
    return box;
  }

  function element(tag, name, attributes = {}) {
    const made = document.createElement(tag);
    if (name) made.className = name;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }

  const WHO = ["", "you", "policy"];

  function draw() {
    const { size, picture } = view;
    const { notes, beats, steps, names } = size;
    const bits = Math.log2(steps);
    const presses = beats + bits;
    for (let note = 0; note < notes; note += 1) {
      const one = view.rows[note];
      const now = picture.state[note];
      const next = picture.next[note];
      one.row.classList.toggle("out", !picture.inKey[note]);
      one.name.setAttribute("aria-pressed", picture.locked[note]);
      one.name.setAttribute("aria-label", `${names[note]}${picture.locked[note] ? ", locked against the policy" : ""}`);
      for (let beat = 0; beat < beats; beat += 1) {
        const pad = one.pads[beat];
        const on = (next >> (bits + beat)) & 1;
        const was = (now >> (bits + beat)) & 1;
        const who = on ? picture.nextOwners[note][beat] : 0;
        const would = picture.policy && picture.would === note * presses + beat;
        const name = `pad ${on ? WHO[who] || "you" : ""}${on !== was ? " waiting" : ""}${would ? " hint" : ""}`;
        if (pad.className !== name) pad.className = name;
        pad.setAttribute("aria-pressed", Boolean(on));
        const by = on ? (who === 2 ? ", pressed by the policy" : who === 1 ? ", pressed by you" : "") : "";
        pad.setAttribute("aria-label", `${names[note]} ${view.titles[beat]}${beat < beats - 1 ? " steps" : ""}${by}${on !== was ? ", from the next bar on" : ""}${would ? "; the policy would press this" : ""}`);
      }
      const offset = next & (steps - 1);
      if (document.activeElement !== one.slider || !one.slider.matches(":active")) { one.slider.value = offset; one.shown.textContent = offset || ""; }
      if (one.drawn !== picture.words[note]) paint(one, picture.words[note], steps);
    }
    toggle("play", picture.playing, picture.playing ? "Stop" : "Play");
    byId("policy").setAttribute("aria-pressed", picture.policy);
    if (document.activeElement !== byId("qpm")) byId("qpm").value = picture.qpm;
    byId("qpm-shown").textContent = Math.round(picture.qpm);
    byId("key").value = picture.key;
    byId("reward").textContent = picture.reward.toFixed(Math.abs(picture.reward) < 10 ? 3 : 0);
    byId("reward-name").textContent = size.rewardName === "f1" ? "F1" : size.rewardName;
    byId("would-text").textContent = picture.policy ? `next, ${size.policyName} would press ${picture.wouldText}` : `${size.policyName} pauses`;
    curve(picture.rewards);
    if (link.isOpen) {
      const pressed = picture.pressed ? `${size.policyName} pressed ${picture.pressed}. ` : "";
      const people = picture.people > 1 ? `${picture.people} people are here.` : "";
      byId("bar").textContent = picture.playing && picture.n >= 0 ? `Bar ${picture.n + 1}.` : "";
      if (performance.now() > (view.until || 0)) say(picture.playing ? `${pressed}${people}` : `Stopped. Press pads, then play. ${people}`);
    }
  }

  function paint(one, hex, steps) {
    one.drawn = hex;
    const context = one.track.getContext("2d");
    const style = getComputedStyle(document.documentElement);
    context.clearRect(0, 0, one.track.width, one.track.height);
    context.fillStyle = style.getPropertyValue("--line");
    for (let step = 0; step < steps; step += steps / 4) context.fillRect(step * 8, 0, 1, 8);
    context.fillStyle = style.getPropertyValue("--ink");
    const word = BigInt("0x" + hex);
    for (let step = 0; step < steps; step += 1) if ((word >> BigInt(step)) & 1n) context.fillRect(step * 8, 0, 7, 8);
  }

  function curve(rewards) {
    const line = byId("curve").firstElementChild;
    if (rewards.length < 2) { line.setAttribute("points", ""); return; }
    const low = Math.min(...rewards);
    const range = Math.max(...rewards) - low || 1;
    line.setAttribute("points", rewards.map((value, i) => `${(300 * i / (rewards.length - 1)).toFixed(1)},${(56 - 52 * (value - low) / range).toFixed(1)}`).join(" "));
  }

  function toggle(id, on, text) {
    byId(id).setAttribute("aria-pressed", on);
    byId(id).querySelector(".label").textContent = text;
  }

  function say(text, isBad = false) {
    if (isBad) view.until = performance.now() + 3000; // a complaint is not overwritten at once
    const status = byId("status");
    if (status.textContent !== text) status.textContent = text;
    status.classList.toggle("bad", isBad);
  }

  // The playing position: pads of notes that sound light up, a line runs through the tracks.
  function tick() {
    if (clock.words && view.picture && view.picture.playing) {
      const { steps, notes } = view.size;
      const length = 1000 * clock.seconds;
      const share = (((performance.now() - clock.at) % length) + length) % length / length;
      const step = Math.floor(share * steps);
      if (step !== view.step) {
        view.step = step;
        board.style.setProperty("--step", share);
        for (let note = 0; note < notes; note += 1) {
          const sounds = (BigInt("0x" + clock.words[note]) >> BigInt(step)) & 1n;
          view.rows[note].row.classList.toggle("sounding", Boolean(sounds));
        }
      }
    } else if (view.step !== -1 && view.rows.length) {
      view.step = -1;
      board.style.removeProperty("--step");
      for (const one of view.rows) one.row.classList.remove("sounding");
    }
    requestAnimationFrame(tick);
  }

  // Hands and keys

  function press(note, beat) {
    view.beat = beat;
    send({ t: "press", a: note * (view.size.beats + Math.log2(view.size.steps)) + beat });
  }

  function fromKey(pitch) {
    const note = pitch - (view.size ? view.size.lowest : 0);
    if (view.size && note >= 0 && note < view.size.notes) press(note, view.beat ?? 3);
  }

  function focusOn(note, beat, moves = true) {
    const [oldNote, oldBeat] = view.at;
    const old = view.rows[oldNote];
    if (old) { old.pads[oldBeat].tabIndex = -1; old.name.tabIndex = -1; old.slider.tabIndex = -1; }
    view.at = [note, beat];
    const one = view.rows[note];
    one.pads[beat].tabIndex = 0;
    one.name.tabIndex = 0;
    one.slider.tabIndex = 0;
    if (moves) one.pads[beat].focus();
  }

  function wake() {
    if (!view.size) return;
    if (!synth) {
      synth = new LaunchpadSound.Synth(new AudioContext({ latencyHint: "interactive" }), view.size.lowest, view.size.notes);
      synth.volume(byId("volume").value / 100);
    }
    synth.context.resume();
  }

  function play() {
    wake();
    send({ t: "play", on: !view.picture.playing });
  }

  byId("play").addEventListener("click", play);
  byId("policy").addEventListener("click", () => send({ t: "policy", on: !view.picture.policy }));
  byId("undo").addEventListener("click", () => send({ t: "undo" }));
  byId("clear").addEventListener("click", () => send({ t: "clear" }));
  byId("qpm").addEventListener("input", () => { byId("qpm-shown").textContent = byId("qpm").value; });
  byId("qpm").addEventListener("change", () => send({ t: "qpm", v: Number(byId("qpm").value) }));
  byId("key").addEventListener("change", () => send({ t: "key", v: byId("key").value }));
  byId("volume").addEventListener("input", () => synth && synth.volume(byId("volume").value / 100));
  document.querySelector(".more").addEventListener("toggle", () => midi.open());
  byId("midi-out").addEventListener("change", (event) => midi.choose(event.target.value));
  byId("midi-in").addEventListener("change", (event) => midi.listen(event.target.value));
  byId("midi-clock").addEventListener("change", (event) => { midi.clock = event.target.checked; });
  document.addEventListener("pointerdown", wake);

  byId("load").addEventListener("change", async (event) => {
    const file = event.target.files[0];
    if (!file) return;
    try {
      const answer = await fetch("load", { method: "POST", body: file });
      say(answer.ok ? "The bar is loaded." : await answer.text(), !answer.ok);
    } catch {
      say("The file could not be sent.", true);
    }
    event.target.value = "";
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !view.size) return;
    const target = event.target;
    const pad = target.classList.contains("pad");
    if (target.matches("input[type=range], select, input[type=file], a, summary")) return;
    wake();
    const [note, beat] = view.at;
    const { notes, beats, steps } = view.size;
    const key = event.key;
    if (key.startsWith("Arrow")) {
      const up = { ArrowUp: 1, ArrowDown: -1 }[key] || 0;
      const right = { ArrowRight: 1, ArrowLeft: -1 }[key] || 0;
      focusOn(Math.min(notes - 1, Math.max(0, note + up)), Math.min(beats - 1, Math.max(0, beat + right)));
    } else if (key === "Home" || key === "End") {
      focusOn(note, key === "Home" ? 0 : beats - 1);
    } else if (key === " " && target.tagName !== "BUTTON") {
      play();
    } else if ((key === "[" || key === "]") && pad) {
      const offset = view.picture.next[note] & (steps - 1);
      send({ t: "offset", note, to: (offset + (key === "]" ? 4 : steps - 4)) % steps });
    } else if (/^[lpu]$/i.test(key) && !event.repeat) {
      if (/l/i.test(key) && pad) send({ t: "lock", note, on: !view.picture.locked[note] });
      if (/p/i.test(key)) send({ t: "policy", on: !view.picture.policy });
      if (/u/i.test(key)) send({ t: "undo" });
    } else {
      return;
    }
    event.preventDefault();
  });

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const one of view.rows) paint(one, one.drawn, view.size.steps);
  });

  connect();
  requestAnimationFrame(tick);
})();
