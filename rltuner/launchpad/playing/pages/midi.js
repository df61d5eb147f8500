"use strict";
// Web MIDI, where the browser has it: bars out with time stamps, clock, keys in.

const LaunchpadMidi = (() => {
  const CLOCKS = 96; // a bar: 24 a quarter

  class Midi {
    constructor(say, onKey) {
      this.say = say;
      this.onKey = onKey;
      this.access = null;
      this.output = null;
      this.clock = false;
      this.isRunning = false;
    }

    // Asks the browser, when a person first wants it.
    async open() {
      if (this.access) return true;
      if (!navigator.requestMIDIAccess) {
        this.say("This browser has no Web MIDI; the page plays by itself.");
        return false;
      }
      try {
        this.access = await navigator.requestMIDIAccess();
      } catch {
        this.say("MIDI was not allowed; the page plays by itself.");
        return false;
      }
      this.access.onstatechange = () => this.list();
      this.list();
      return true;
    }

    list() {
      const fill = (id, ports, none) => {
        const select = document.getElementById(id);
        const chosen = select.value;
        select.replaceChildren(new Option(none, ""), ...[...ports.values()].map((port) => new Option(port.name, port.id)));
        select.value = ports.has(chosen) ? chosen : "";
      };
      fill("midi-out", this.access.outputs, "none: sound of this page");
      fill("midi-in", this.access.inputs, "none");
      const count = this.access.outputs.size + this.access.inputs.size;
      this.say(count ? "" : "No MIDI device is connected; the page plays by itself.");
    }

    choose(id) { this.stop(); this.output = id && this.access ? this.access.outputs.get(id) || null : null; }

    listen(id) {
      if (!this.access) return;
      for (const input of this.access.inputs.values()) input.onmidimessage = null;
      const input = id && this.access.inputs.get(id);
      if (input) {
        input.onmidimessage = (event) => {
          const [status, pitch, velocity] = event.data;
          if ((status & 0xf0) === 0x90 && velocity > 0) this.onKey(pitch);
        };
      }
    }

    // A bar that begins at `at`, in milliseconds of performance.now.
    bar(words, steps, lowest, at, seconds) {
      if (!this.output) return;
      const step = 1000 * seconds / steps;
      if (this.clock) {
        if (!this.isRunning) this.output.send([0xfa], at);
        for (let i = 0; i < CLOCKS; i += 1) this.output.send([0xf8], at + i * 1000 * seconds / CLOCKS);
      }
      this.isRunning = true;
      for (const { note, start, end } of LaunchpadSound.runs(words, steps)) {
        this.output.send([0x90, lowest + note, 90], at + start * step);
        this.output.send([0x80, lowest + note, 0], at + end * step - 1);
      }
    }

    stop() {
      if (this.output && this.isRunning) {
        if (this.output.clear) this.output.clear();
        if (this.clock) this.output.send([0xfc]);
        this.output.send([0xb0, 123, 0]); // all notes off
      }
      this.isRunning = false;
    }
  }

  return { Midi };
})();
