"use strict";
// The sound: notes made here, scheduled on the audio clock. Bars begin at absolute times, so nothing adds up.

const LaunchpadSound = (() => {
  const ATTACK = 0.0015; // seconds; short enough that a note begins where the grid has it
  const RELEASE = 0.09;
  const RING = 1.4; // seconds that a struck note rings at most

  // A bar as notes: runs of cells that sound. Words are hexadecimal, bit s is step s.
  function runs(words, steps) {
    const found = [];
    words.forEach((hex, note) => {
      let word = BigInt("0x" + (hex || "0"));
      let start = -1;
      for (let step = 0; step <= steps; step += 1) {
        const on = step < steps && (word >> BigInt(step)) & 1n;
        if (on && start < 0) start = step;
        if (!on && start >= 0) { found.push({ note, start, end: step }); start = -1; }
      }
    });
    return found.sort((a, b) => a.start - b.start || a.note - b.note);
  }

  // One note: a few partials, the higher ones dying sooner.
  function pluck(context, pitch) {
    const rate = context.sampleRate;
    const buffer = context.createBuffer(1, Math.ceil(RING * rate), rate);
    const data = buffer.getChannelData(0);
    const base = 440 * 2 ** ((pitch - 69) / 12);
    for (let partial = 1; partial <= 6 && base * partial < rate / 2.2; partial += 1) {
      const level = 0.5 / partial ** 1.6;
      const decay = 2.2 + 1.7 * partial;
      const step = 2 * Math.PI * base * partial / rate;
      for (let i = 0; i < data.length; i += 1) data[i] += level * Math.sin(step * i) * Math.exp(-decay * i / rate);
    }
    const attack = Math.ceil(ATTACK * rate);
    const fade = Math.ceil(0.05 * rate);
    for (let i = 0; i < attack; i += 1) data[i] *= i / attack;
    for (let i = 0; i < fade; i += 1) data[data.length - 1 - i] *= i / fade;
    return buffer;
  }

  class Synth {
    // `context` may be an OfflineAudioContext: what is heard is what is measured.
    constructor(context, lowest, notes) {
      this.context = context;
      this.master = context.createGain();
      const shaper = context.createWaveShaper(); // a soft limit without delay
      const curve = new Float32Array(2049);
      for (let i = 0; i < curve.length; i += 1) curve[i] = Math.tanh((i / 1024 - 1) * 1.6) / 1.6;
      shaper.curve = curve;
      this.master.gain.value = 0.25;
      this.master.connect(shaper).connect(context.destination);
      this.buffers = Array.from({ length: notes }, (_, note) => pluck(context, lowest + note));
      this.open = new Map(); // notes that sound up to the end of the bar: they may go on in the next one
      this.live = new Set();
    }

    volume(share) { this.master.gain.setTargetAtTime(0.5 * share * share, this.context.currentTime, 0.02); }

    // Schedules a bar of words that begins at `at` on the context's clock.
    bar(words, steps, at, seconds) {
      const step = seconds / steps;
      const open = new Map();
      for (const { note, start, end } of runs(words, steps)) {
        let voice = null;
        if (start === 0 && this.open.has(note)) { // it goes on: not struck anew
          voice = this.open.get(note);
          this.open.delete(note);
        } else {
          voice = this.strike(note, at + start * step);
        }
        if (end === steps) open.set(note, voice); else this.damp(voice, at + end * step);
      }
      for (const voice of this.open.values()) this.damp(voice, at);
      this.open = open;
    }

    strike(note, at) {
      const source = this.context.createBufferSource();
      const gate = this.context.createGain();
      source.buffer = this.buffers[note];
      source.connect(gate).connect(this.master);
      source.start(Math.max(at, this.context.currentTime));
      const voice = { source, gate };
      this.live.add(voice);
      source.onended = () => { this.live.delete(voice); gate.disconnect(); };
      return voice;
    }

    // A cell is short: its note still rings for a moment, as a string does.
    damp(voice, at) { voice.gate.gain.setTargetAtTime(0, at + RELEASE, RELEASE); }

    silence() {
      const now = this.context.currentTime;
      for (const { source, gate } of this.live) {
        gate.gain.cancelScheduledValues(now);
        gate.gain.setTargetAtTime(0, now, 0.01);
        source.stop(now + 0.1);
      }
      this.open.clear();
    }
  }

  return { Synth, runs };
})();
