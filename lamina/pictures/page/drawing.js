"use strict";
// The picture of a layer as cells in pixels: what is drawn, and what each output cell marks.
const Drawing = (() => {
  const { range, cross } = Lamina;
  const GAP = 16, TITLE = 20;

  // Which axis runs where: [down, across] inside a panel, then [down, across] of the panels; others stay at 0.
  function roles(rank, batch) {
    if (batch) return { 2: [1, 0], 3: [2, 1, null, 0], 4: [1, 2, 0, 3] }[rank] || [rank - 3, rank - 2, 0, rank - 1];
    return { 1: [null, 0], 2: [1, 0], 3: [0, 1, null, 2], 4: [1, 2, 3, 0] }[rank] || [rank - 3, rank - 2, rank - 1, 0];
  }

  // A tensor as panels of cells. `shown` is [first, last + 1] of each axis; negative places are padding.
  function grid(id, shape, title, { batch = false, most, wide = most, pads = [], limit = [], only = null } = {}) {
    const [down, across, panelsDown = null, panelsAcross = null] = only || roles(shape.length, batch);
    const shown = shape.map((n, i) => {
      const [before, after] = (pads[i] || [0, 0]).map((p) => Math.min(p, 8));
      const room = i === across ? (panelsAcross === null ? most : Math.min(most, 12)) : i === down ? (panelsDown === null && panelsAcross === null ? 8 : 12) : i === panelsDown ? 3 : i === panelsAcross ? 6 : 1;
      return [-before, Math.min(n + after, room - before, limit[i] ?? Infinity)];
    });
    const count = (i) => (i === null ? 1 : shown[i][1] - shown[i][0]);
    if (panelsAcross !== null) {
      const fit = Math.max(Math.floor((wide + 1) / (count(across) + 1)), 1);
      shown[panelsAcross][1] = Math.min(shown[panelsAcross][1], fit);
    }
    const one = (at, i) => (i === null ? 0 : at[i] - shown[i][0]);
    const drawn = (at) => at.every((p, i) => p >= shown[i][0] && p < shown[i][1]);
    const place = (at) => [
      one(at, across) + one(at, panelsAcross) * (count(across) + 1),
      one(at, down) + one(at, panelsDown) * (count(down) + 1),
    ];
    const columns = count(panelsAcross) * (count(across) + 1) - 1, rows = count(panelsDown) * (count(down) + 1) - 1;
    const cells = cross(shown.map(([first, last]) => range(last - first, first)));
    const cut = shape.some((n, i) => shown[i][1] < n);
    return { id, shape, title, shown, drawn, place, columns, rows, cells, cut, pad: (at) => at.some((p, i) => p < 0 || p >= shape[i]) };
  }

  // The grids of a layer, from its inputs down to its output.
  function grids(found, most, wide) {
    const { inputCells, cells, batch, axes } = found, all = [];
    const pads = axes ? axes.map((one) => [one.before, one.after]) : [];
    inputCells.forEach((shape, i) => {
      all.push(grid(`in${i}`, shape, { key: inputCells.length > 1 ? `input${i}` : "input", shape: found.inputs[i] }, { batch, most, wide, pads }));
    });
    // No output is drawn whose inputs are not.
    const limit = (axes || []).map((one, i) => {
      const last = all[0].shown[i][1];
      let n = Math.min(one.output, most);
      if (all[0].cut && !one.transposed) while (n > 1 && Math.max(...one.taps(n - 1).map(([p]) => p).filter((p) => p < one.input)) >= last) n -= 1;
      return n;
    });
    if (found.middle) all.push(grid("middle", found.middle, { key: "middle", shape: Lamina.fromLast(found.middle, found.a) }, { most, wide, limit }));
    if (found.table) all.push(grid("table", found.table, { key: "table", shape: found.table }, { most }));
    for (const [i, state] of (found.states || []).entries()) {
      all.push({ ...grid(`state${i}`, [found.inputs[0][0]], { key: state.backwards ? "state_back" : "state" }, { most }), state });
    }
    if (found.scores) {
      const { steps, sources, heads } = found.scores;
      all.push(grid("scores", [steps, sources, heads], { key: heads > 1 ? "scores_heads" : "scores", shape: [heads, steps, sources] }, { most, wide }));
    }
    all.push(grid("out", cells, { key: "output", shape: found.outputs[0] }, { batch, most, wide, limit }));
    return all;
  }

  // What an output cell marks: [{grid, at, colour, text}], and the lines that run to it.
  function marks(found, at) {
    const own = found.own ? at.slice(0, -1).reduce((t, p, i) => t * found.cells[i] + p, 0) : null; // the number of the kernel
    const taps = found.kernel ? Lamina.prod(found.kernel) : 1;
    const list = found.sees(at).map((m) => ({
      grid: `in${m.input}`, at: m.at, colour: own === null ? m.tap : own, text: taps > 1 ? String(m.tap) : "",
    }));
    if (found.middle) {
      const channels = found.middle[found.middle.length - 1];
      for (const c of range(channels)) list.push({ grid: "middle", at: [...at.slice(0, -1), c], colour: 0, text: "" });
    }
    if (found.table) for (const c of range(found.table[1])) list.push({ grid: "table", at: [found.word(at.slice(0, -1)), c], colour: 0, text: "" });
    for (const [i, state] of (found.states || []).entries()) {
      if (state.uses && !state.uses(at[1])) continue;
      const now = state.time(at[0]), steps = found.inputs[0][0];
      const past = state.backwards ? range(steps - now, now) : range(now + 1);
      for (const t of past) list.push({ grid: `state${i}`, at: [t], colour: t === now ? 0 : 1, text: "" });
    }
    if (found.scores) {
      const t = at[0];
      for (const h of range(found.scores.heads)) for (const s of found.scores.allowed(t)) list.push({ grid: "scores", at: [t, s, h], colour: 1, text: "" });
    }
    list.push({ grid: "out", at, colour: own === null ? null : own, text: "", chosen: true });
    return list;
  }

  // Where the grids stand in `width` pixels, and how large a cell is.
  function arrange(found, width) {
    const most = width < 460 ? 20 : 28;
    const all = grids(found, most, Math.floor(width / 12)); // panels beside each other may have smaller cells
    const columns = Math.max(...all.map((one) => one.columns));
    const unit = Math.max(Math.min(Math.floor((width - 2) / columns), 26), 9);
    let y = 0, right = 0;
    for (const one of all) {
      const beside = one.id === "in1" && right + 30 + one.columns * unit <= width && right;
      if (beside) {
        one.x = right + 30;
        one.y = all[0].y;
        y = Math.max(y, one.y + one.rows * unit + GAP);
        continue;
      }
      // Along one axis, what stands at the same place stands below it.
      const aligned = found.axes && found.axes.length === 1 && one.id !== "in0" && found.axes[0].before <= 8;
      one.x = 1 + (aligned ? Math.min(found.axes[0].before, Math.max(columns - one.columns, 0)) * unit : 0);
      one.y = y + TITLE;
      right = one.columns * unit;
      y = one.y + one.rows * unit + GAP + (found.axes && found.axes.length === 1 && one.id !== "out" ? 18 : 0);
    }
    return { all, unit, width: Math.max(...all.map((one) => one.x + one.columns * unit), Math.min(width, 300)) + 2, height: y };
  }

  return { arrange, marks };
})();
if (typeof module !== "undefined") module.exports = Drawing;
