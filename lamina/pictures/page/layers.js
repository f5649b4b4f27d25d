"use strict";
// What layers do, in numbers, and how they are written: all of the page that needs no document.
// Shapes have no batch axis. `describe` works on channels last; data formats are only how shapes are told.
const Lamina = (() => {
  const div = (a, b) => Math.floor(a / b);
  const mod = (a, b) => a - b * Math.floor(a / b);
  const sum = (list) => list.reduce((a, b) => a + b, 0);
  const prod = (list) => list.reduce((a, b) => a * b, 1);
  const range = (count, first = 0) => Array.from({ length: Math.max(count, 0) }, (_, i) => first + i);
  const cross = (lists) => lists.reduce((all, list) => all.flatMap((one) => list.map((item) => [...one, item])), [[]]);
  const times = (list) => list.join(" × ");

  class Wrong extends Error {
    constructor(key, values = {}) {
      super(key);
      Object.assign(this, { key, values });
    }
  }
  const refuse = (unless, key, values) => {
    if (!unless) throw new Wrong(key, values);
  };

  // Windows along one axis: kernels/window.py in JavaScript --------------------------------------------------------

  const extent = (kernel, dilation = 1) => (kernel - 1) * dilation + 1;

  function pads(size, kernel, stride, padding, dilation) {
    const reach = extent(kernel, dilation) - 1;
    if (padding === "same") {
      const total = stride === 1 ? reach : Math.max((div(size + stride - 1, stride) - 1) * stride + reach + 1 - size, 0);
      return [div(total, 2), total - div(total, 2)];
    }
    return [padding === "causal" ? reach : 0, 0];
  }

  function outputSize(size, kernel, stride, padding, dilation) {
    if (padding === "same") return div(size + stride - 1, stride);
    return Math.max(div(size + sum(pads(size, kernel, stride, padding, dilation)) - extent(kernel, dilation), stride) + 1, 0);
  }

  function transposedPads(kernel, stride, padding, extra, dilation) {
    const span = extent(kernel, dilation);
    if (padding === "valid") return [0, extra === null ? Math.min(span - stride, 0) : -extra];
    const total = extra === null ? span - stride : span - (span % 2) - extra;
    const before = div(Math.max(total, 0), 2);
    return [before, total - before];
  }

  function transposedSize(size, kernel, stride, padding, extra, dilation) {
    return (size - 1) * stride + extent(kernel, dilation) - sum(transposedPads(kernel, stride, padding, extra, dilation));
  }

  // An axis: its sizes, what an output position sees as [position, tap] (outside the input: padding), and how far.
  const axis = (input, output, taps, more = {}) => ({ input, output, taps, before: 0, after: 0, field: 1, formula: null, ...more });

  function windowAxis(size, kernel, stride, padding, dilation = 1) {
    const [before, after] = pads(size, kernel, stride, padding, dilation);
    const output = outputSize(size, kernel, stride, padding, dilation), span = extent(kernel, dilation);
    const formula = padding === "same"
      ? ["⌈n / s⌉", `⌈${size} / ${stride}⌉ = ${output}`]
      : padding === "causal"
      ? ["⌊(n + (k−1)·d − ((k−1)·d+1)) / s⌋ + 1", `⌊(${size} + ${before} − ${span}) / ${stride}⌋ + 1 = ${output}`]
      : ["⌊(n − ((k−1)·d+1)) / s⌋ + 1", `⌊(${size} − ${span}) / ${stride}⌋ + 1 = ${output}`];
    const taps = (o) => range(kernel).map((t) => [o * stride - before + t * dilation, t]);
    return axis(size, output, taps, { before, after, field: span, formula });
  }

  // Locally connected layers: element o * stride stands at tap k // 2, whatever the size, which is not TensorFlow's rule.
  function localAxis(size, kernel, stride, padding) {
    const found = windowAxis(size, kernel, stride, padding);
    if (padding !== "same") return found;
    const before = div(kernel, 2), after = Math.max((found.output - 1) * stride + kernel - before - size, 0);
    return { ...found, before, after, taps: (o) => range(kernel).map((t) => [o * stride - before + t, t]) };
  }

  function transposedAxis(size, kernel, stride, padding, extra, dilation) {
    const [before, after] = transposedPads(kernel, stride, padding, extra, dilation);
    const output = transposedSize(size, kernel, stride, padding, extra, dilation), span = extent(kernel, dilation);
    const taps = (o) => range(kernel)
      .map((t) => [(o + before - t * dilation) / stride, t])
      .filter(([position]) => Number.isInteger(position) && position >= 0 && position < size);
    const formula = ["(n − 1)·s + ((k−1)·d+1) − c", `(${size} − 1)·${stride} + ${span} − ${before + after < 0 ? `(${before + after})` : before + after} = ${output}`];
    return axis(size, output, taps, { field: stride > 1 ? Math.ceil(kernel / stride) : span, formula, transposed: true });
  }

  function adaptiveAxis(size, parts) {
    const taps = (o) => {
      const first = div(o * size, parts);
      return range(-div(-(o + 1) * size, parts) - first, first).map((p) => [p, 0]);
    };
    return axis(size, parts, taps, { field: size % parts ? null : size / parts, formula: ["m", `${parts}`] });
  }

  function enlargedAxis(size, factor, interpolation) {
    const reach = { bilinear: 1, bicubic: 2, lanczos3: 3, lanczos5: 5 }[interpolation];
    const seen = (o) => {
      const twice = 2 * o + 1 - factor, scale = 2 * factor; // the place between inputs, in parts of 2 * factor
      if (!reach) return [div(o, factor)];
      if (twice % scale === 0) return [twice / scale];
      const first = Math.ceil((twice - reach * scale) / scale), last = div(twice + reach * scale, scale);
      return range(last - first + 1, first).filter((p) => Math.abs(p * scale - twice) < reach * scale);
    };
    const taps = (o) => seen(o).filter((p) => p >= 0 && p < size).map((p) => [p, 0]);
    const field = reach && factor > 1 ? 2 * reach : 1;
    return axis(size, size * factor, taps, { field, formula: ["n·f", `${size}·${factor} = ${size * factor}`] });
  }

  function shiftedAxis(size, [before, after], sign) {
    const output = size + sign * (before + after);
    const taps = (o) => [[o - sign * before, 0]];
    const show = sign > 0 ? "+" : "−";
    const formula = [`n ${show} a ${show} b`, `${size} ${show} ${before} ${show} ${after} = ${output}`];
    return axis(size, output, taps, { formula, ...(sign > 0 ? { before, after } : {}) });
  }

  const wholeAxis = (size) => axis(size, 1, () => range(size).map((p) => [p, 0]), { field: Infinity, formula: ["1", "1"] });

  // Shapes ---------------------------------------------------------------------------------------------------------

  const first = (a) => a.data_format === "channels_first";
  const toLast = (shape, a) => (first(a) ? [...shape.slice(1), shape[0]] : shape);
  const fromLast = (shape, a) => (first(a) ? [shape[shape.length - 1], ...shape.slice(0, -1)] : shape);

  function split(input, a, rank) {
    refuse(input.length === rank + 1, "rank", { expected: rank + 1, shape: input });
    const shape = toLast(input, a);
    return { sizes: shape.slice(0, -1), channels: shape[rank] };
  }

  function fits(sizes, kernel, dilation, padding) {
    sizes.forEach((size, i) => {
      const span = extent(kernel[i], dilation[i]);
      refuse(outputSize(size, kernel[i], 1, padding, dilation[i]) > 0, "fit", { axis: i, size, span });
    });
  }

  const ones = (rank) => range(rank).map(() => 1);
  const bias = (a, ...shape) => (a.use_bias ? [["bias", shape]] : []);
  const offset = (index, axes) => axes.reduce((total, one, i) => total * one + index[i], 0);

  // A layer that goes over spatial axes each by itself; `channelsOf(f, position)` are the channels output f sees.
  function spatial(a, { sizes, channels }, axes, filters, channelsOf, more = {}) {
    const kernel = more.kernel || ones(axes.length);
    const output = axes.map((one) => one.output);
    const sees = (at) => {
      const seen = cross(axes.map((one, i) => one.taps(at[i])));
      return seen.flatMap((taps) => channelsOf(at[axes.length]).map((c) => ({
        input: 0, at: [...taps.map(([position]) => position), c], tap: offset(taps.map(([, t]) => t), kernel),
      })));
    };
    return {
      marks: prod(axes.map((one) => one.taps(0).length)) * channelsOf(0).length,
      cells: [...output, filters], inputCells: [[...sizes, channels]], sees, axes, weights: [], macs: 0,
      outputs: [fromLast([...output, filters], a)], field: axes.map((one) => one.field),
      formulas: axes.map((one) => one.formula), ...more,
    };
  }
  const same = (c) => [c];
  const notBoth = (a) => refuse(!(Math.max(...a.strides) > 1 && Math.max(...a.dilation_rate) > 1), "dilated_strides",
    { strides: times(a.strides), dilation: times(a.dilation_rate) });

  function windows(a, sizes, kernel = a.kernel_size) {
    const dilation = a.dilation_rate || ones(sizes.length);
    fits(sizes, kernel, dilation, a.padding);
    return sizes.map((size, i) => windowAxis(size, kernel[i], a.strides[i], a.padding, dilation[i]));
  }
  const sizesOf = (axes) => axes.map((one) => one.output);

  // Everything seen, of one input: for layers that mix all positions.
  const everything = (shape, input = 0, tap = 0) => cross(shape.map((n) => range(n))).map((at) => ({ input, at, tap }));
  const plain = (input, output, sees, more = {}) => ({
    cells: output, inputCells: [input], outputs: [output], sees, weights: [], macs: 0, formulas: [], marks: 1,
    field: range(Math.max(output.length - 1, 0)).map(() => 1), ...more,
  });

  function unravel(index, shape) {
    const at = [];
    for (let i = shape.length - 1; i >= 0; i--) {
      at.unshift(index % shape[i]);
      index = div(index, shape[i]);
    }
    return at;
  }
  const moved = (input, output, from, more) => plain(input, output, (at) => [{ input: 0, at: from(at), tap: 0 }], { values: true, ...more });

  function axesOf(axis, rank) {
    return axis.map((one) => {
      refuse(one >= -rank && one < rank, "axis", { axis: one, rank });
      return one < 0 ? one + rank : one;
    });
  }

  // Recurrence: gates, states, where the state goes.
  const GATES = { SimpleRNN: 1, LSTM: 4, GRU: 3 };

  function recurrent(a, input, name) {
    refuse(input.length === 2, "rank", { expected: 2, shape: input });
    const [steps, features] = input, gates = GATES[name], { units } = a;
    const after = name === "GRU" && a.reset_after !== false;
    const biases = a.use_bias === false ? [] : [["bias", after ? [2, gates * units] : [gates * units]]];
    const time = (o) => (a.return_sequences ? (a.go_backwards ? steps - 1 - o : o) : a.go_backwards ? 0 : steps - 1);
    const sees = (at) => everything(input).filter((m) => (a.go_backwards ? m.at[0] >= time(at[0]) : m.at[0] <= time(at[0])))
      .map((m) => ({ ...m, tap: m.at[0] === time(at[0]) ? 0 : 1 }));
    const weights = [["kernel", [features, gates * units]], ["recurrent_kernel", [units, gates * units]], ...biases];
    return {
      cells: [a.return_sequences ? steps : 1, units], inputCells: [input], sees, time, weights, formulas: [], marks: prod(input),
      outputs: [a.return_sequences ? [steps, units] : [units]], macs: steps * (features + units) * gates * units,
      field: [Infinity],
      states: [{ backwards: a.go_backwards, time }],
    };
  }

  function attends(a, steps, sources) {
    const window = a.sliding_window || Infinity;
    return (t) => range(sources).filter((s) => (!a.use_causal_mask || s <= t) && Math.abs(s - t) < window);
  }

  function attention(inputs, allowed, more) {
    const [query, value] = inputs, output = more.output;
    const sees = ([t]) => [
      ...everything([1, query[1]]).map((m) => ({ input: 0, at: [t, m.at[1]], tap: 0 })),
      ...allowed(t).flatMap((s) => range(value[1]).map((c) => ({ input: 1, at: [s, c], tap: 1 }))),
    ];
    return {
      cells: output, inputCells: inputs, outputs: [output], sees, formulas: [], field: [Infinity], marks: prod(value) + query[1],
      scores: { steps: query[0], sources: value[0], allowed, heads: more.heads || 1 }, weights: [], ...more,
    };
  }

  function projected(a, inputs, heads, others, sizes) {
    const [query, value] = inputs;
    refuse(query.length === 2 && value.length === 2, "rank", { expected: 2, shape: query.length === 2 ? value : query });
    const [t, q] = query, [s, v] = value, [key, val] = sizes;
    const dense = (name, input, output) => [[`${name} kernel`, [...input, ...output]], ...(a.use_bias ? [[`${name} bias`, output]] : [])];
    const weights = [
      ...dense("query", [q], [heads, key]), ...dense("key", [v], [others, key]),
      ...(a.use_gate ? dense("gate", [q], [heads, val]) : []),
      ...dense("value", [v], [others, val]), ...dense("output", [heads, val], [q]),
    ];
    const macs = t * q * heads * key + s * v * others * (key + val) + t * heads * val * q + heads * t * s * (key + val)
      + (a.use_gate ? t * q * heads * val : 0);
    return attention(inputs, attends(a, t, s), { output: [t, q], weights, macs, heads });
  }

  function normalized(a, input, along, weights, more = {}) {
    // Statistics are shared by the cells of a batch that agree on all axes but those in `along`.
    const batch = 3, shape = [batch, ...input];
    const sees = (at) => everything(shape).filter((m) => m.at.every((p, i) => along.includes(i) || p === at[i]));
    const inside = along.filter((one) => one > 0 && one < input.length);
    const field = range(input.length - 1).map((i) => (inside.includes(i + 1) ? Infinity : 1));
    return plain(shape, shape, sees, { outputs: [input], weights, field, batch: true, marks: prod(shape), ...more });
  }

  const centered = (a, shape) => [...(a.scale ? [["gamma", shape]] : []), ...(a.center ? [["beta", shape]] : [])];

  function broadcast(inputs) {
    const rank = Math.max(...inputs.map((one) => one.length));
    const full = inputs.map((one) => [...ones(rank - one.length), ...one]);
    const output = range(rank).map((i) => {
      const sizes = [...new Set(full.map((one) => one[i]))].filter((n) => n !== 1);
      refuse(sizes.length < 2, "broadcast", { a: inputs[0], b: inputs[1], sizes: sizes.join(", ") });
      return sizes.length ? sizes[0] : 1;
    });
    const sees = (at) => full.map((shape, input) => ({
      input, tap: input, at: at.map((p, i) => (shape[i] === 1 ? 0 : p)).slice(rank - inputs[input].length),
    }));
    return { cells: output, outputs: [output], inputCells: inputs, sees, weights: [], macs: 0, formulas: [], marks: 2, field: range(Math.max(rank - 1, 0)).map(() => 1) };
  }

  const KINDS = {
    conv(a, [input], rank) {
      const s = split(input, a, rank), { filters, groups } = a;
      notBoth(a);
      refuse(filters % groups === 0, "filters_groups", { filters, groups });
      refuse(s.channels % groups === 0, "channels_groups", { channels: s.channels, groups });
      const axes = windows(a, s.sizes), inside = s.channels / groups, of = filters / groups;
      return spatial(a, s, axes, filters, (f) => range(inside, div(f, of) * inside), {
        kernel: a.kernel_size, weights: [["kernel", [...a.kernel_size, inside, filters]], ...bias(a, filters)],
        macs: prod(sizesOf(axes)) * prod(a.kernel_size) * inside * filters,
      });
    },
    depthwise(a, [input], rank) {
      const s = split(input, a, rank), m = a.depth_multiplier;
      const axes = windows(a, s.sizes), filters = s.channels * m;
      return spatial(a, s, axes, filters, (f) => [div(f, m)], {
        kernel: a.kernel_size, weights: [["kernel", [...a.kernel_size, s.channels, m]], ...bias(a, filters)],
        macs: prod(sizesOf(axes)) * prod(a.kernel_size) * filters,
      });
    },
    separable(a, [input], rank) {
      const s = split(input, a, rank), middle = s.channels * a.depth_multiplier;
      const axes = windows(a, s.sizes), positions = sizesOf(axes);
      return spatial(a, s, axes, a.filters, () => range(s.channels), {
        kernel: a.kernel_size, middle: [...positions, middle],
        weights: [
          ["depthwise_kernel", [...a.kernel_size, s.channels, a.depth_multiplier]],
          ["pointwise_kernel", [...ones(rank), middle, a.filters]], ...bias(a, a.filters),
        ],
        macs: prod(positions) * middle * (prod(a.kernel_size) + a.filters),
      });
    },
    transposed(a, [input], rank) {
      const s = split(input, a, rank), extra = a.output_padding || range(rank).map(() => null);
      notBoth(a);
      extra.forEach((one, i) => refuse(one === null || one < a.strides[i], "output_padding", { extra: one, stride: a.strides[i] }));
      const axes = s.sizes.map((n, i) => transposedAxis(n, a.kernel_size[i], a.strides[i], a.padding, extra[i], a.dilation_rate[i]));
      return spatial(a, s, axes, a.filters, () => range(s.channels), {
        kernel: a.kernel_size, weights: [["kernel", [...a.kernel_size, a.filters, s.channels]], ...bias(a, a.filters)],
        macs: prod(s.sizes) * prod(a.kernel_size) * s.channels * a.filters,
      });
    },
    local(a, [input], rank) {
      const s = split(input, a, rank);
      fits(s.sizes, a.kernel_size, ones(rank), a.padding);
      const axes = s.sizes.map((n, i) => localAxis(n, a.kernel_size[i], a.strides[i], a.padding)), positions = sizesOf(axes);
      return spatial(a, s, axes, a.filters, () => range(s.channels), {
        kernel: a.kernel_size, own: true,
        weights: [["kernel", [prod(positions), prod(a.kernel_size) * s.channels, a.filters]], ...bias(a, ...positions, a.filters)],
        macs: prod(positions) * prod(a.kernel_size) * s.channels * a.filters,
      });
    },
    pool(a, [input], rank) {
      const s = split(input, a, rank), strides = a.strides || a.pool_size;
      return spatial(a, s, windows({ ...a, strides }, s.sizes, a.pool_size), s.channels, same, { kernel: a.pool_size });
    },
    global(a, [input], rank) {
      const s = split(input, a, rank);
      const found = spatial(a, s, s.sizes.map(wholeAxis), s.channels, same);
      return { ...found, outputs: a.keepdims ? found.outputs : [[s.channels]] };
    },
    adaptive(a, [input], rank) {
      const s = split(input, a, rank);
      return spatial(a, s, s.sizes.map((n, i) => adaptiveAxis(n, a.output_size[i])), s.channels, same);
    },
    padding(a, [input], rank) {
      const s = split(input, a, rank);
      return spatial(a, s, s.sizes.map((n, i) => shiftedAxis(n, a.padding[i], 1)), s.channels, same);
    },
    cropping(a, [input], rank) {
      const s = split(input, a, rank);
      s.sizes.forEach((n, i) => refuse(sum(a.cropping[i]) < n, "cropping", { size: n, cut: sum(a.cropping[i]) }));
      return spatial(a, s, s.sizes.map((n, i) => shiftedAxis(n, a.cropping[i], -1)), s.channels, same);
    },
    upsampling(a, [input], rank) {
      const s = split(input, a, rank);
      return spatial(a, s, s.sizes.map((n, i) => enlargedAxis(n, many(a.size, rank)[i], a.interpolation || "nearest")), s.channels, same);
    },
    dense(a, [input]) {
      refuse(input.length > 0, "rank", { expected: 1, shape: input });
      const features = input[input.length - 1], rest = input.slice(0, -1);
      const sees = (at) => range(features).map((c) => ({ input: 0, at: [...at.slice(0, -1), c], tap: 0 }));
      return plain(input, [...rest, a.units], sees, {
        marks: features, weights: [["kernel", [features, a.units]], ...bias(a, a.units)], macs: prod(rest) * features * a.units,
      });
    },
    recurrent: (a, [input], rank, name) => recurrent(a, input, name),
    bidirectional(a, [input]) {
      const one = recurrent({ ...a, go_backwards: false }, input, a.layer);
      const other = recurrent({ ...a, go_backwards: true }, input, a.layer);
      const steps = input[0], size = a.merge_mode === "concat" ? 2 * a.units : a.units;
      // Whose output cell c is; of two outputs, the forward one is drawn.
      const which = (c) => (a.merge_mode === "concat" ? [c < a.units ? 0 : 1] : a.merge_mode === null ? [0] : [0, 1]);
      const at = (o, way) => [a.return_sequences && way ? steps - 1 - o : o]; // the backward outputs are turned round
      const sees = ([o, c]) => {
        const marks = new Map(); // a step seen both ways counts once
        for (const way of which(c)) {
          for (const m of (way ? other : one).sees(at(o, way))) {
            const key = m.at.join();
            if (!marks.has(key) || m.tap === 0) marks.set(key, { ...m, tap: m.tap && way + 1 });
          }
        }
        return [...marks.values()];
      };
      const output = a.return_sequences ? [steps, size] : [size];
      return {
        ...one, cells: [a.return_sequences ? steps : 1, size], sees, macs: one.macs + other.macs,
        outputs: a.merge_mode === null ? [output, output] : [output],
        weights: [...one.weights.map(([n, s]) => [`forward ${n}`, s]), ...other.weights.map(([n, s]) => [`backward ${n}`, s])],
        states: [0, 1].map((way) => ({
          backwards: way === 1, time: (o) => (way ? other : one).time(at(o, way)[0]), uses: (c) => which(c).includes(way),
        })),
      };
    },
    attention(a, inputs, rank, name) {
      const [query, value] = inputs;
      refuse(query.length === 2 && value.length === 2, "rank", { expected: 2, shape: query.length === 2 ? value : query });
      refuse(query[1] === value[1], "attention_sizes", { a: query[1], b: value[1] });
      const additive = name === "AdditiveAttention";
      const weights = [
        ...(a.use_scale ? [["scale", additive ? [query[1]] : []]] : []),
        ...(a.score_mode === "concat" ? [["concat_score_weight", []]] : []),
      ];
      const pairs = query[0] * value[0], dot = !additive && a.score_mode === "dot";
      const macs = pairs * value[1] + (dot || (additive && a.use_scale) ? pairs * query[1] : 0);
      return attention(inputs, attends(a, query[0], value[0]), { output: [query[0], value[1]], weights, macs });
    },
    multihead: (a, inputs) => projected(a, inputs, a.num_heads, a.num_heads, [a.key_dim, a.value_dim || a.key_dim]),
    grouped(a, inputs) {
      const [heads, others] = [a.num_query_heads, a.num_key_value_heads];
      refuse(heads % others === 0, "heads", { heads, others });
      return projected(a, inputs, heads, others, [a.head_dim, a.head_dim]);
    },
    embedding(a, [input]) {
      const output = [...input, a.output_dim];
      const word = (at) => (at.reduce((total, p) => total * 5 + p, 0) * 3 + 1) % a.input_dim;
      const sees = (at) => [{ input: 0, at: at.slice(0, -1), tap: 0 }];
      return plain(input, output, sees, {
        weights: [["embeddings", [a.input_dim, a.output_dim]]], word, table: [a.input_dim, a.output_dim], field: input.map(() => 1),
      });
    },
    batchnorm(a, [input]) {
      const rank = input.length + 1, [axis] = axesOf(a.axis, rank);
      const size = [input[axis - 1]];
      refuse(axis > 0, "batch_axis", { axis });
      const along = a.training ? range(rank).filter((i) => i !== axis) : [];
      const fixed = [["moving_mean", size], ["moving_variance", size]];
      return normalized(a, input, along, [...centered(a, size), ...fixed], { fixed: 2 * size[0], field: range(input.length - 1).map(() => 1) });
    },
    layernorm(a, [input], rank, name) {
      const along = axesOf(a.axis, input.length + 1);
      const shape = [...along].sort((x, y) => x - y).map((i) => input[i - 1]);
      refuse(!along.includes(0), "batch_axis", { axis: 0 });
      const weights = { LayerNormalization: centered(a, shape), RMSNormalization: [["scale", shape]], UnitNormalization: [] };
      return normalized(a, input, along, weights[name]);
    },
    groupnorm(a, [input]) {
      const rank = input.length + 1, [axis] = axesOf(a.axis, rank);
      refuse(axis > 0, "batch_axis", { axis });
      const channels = input[axis - 1], groups = a.groups === -1 ? channels : a.groups;
      refuse(channels % groups === 0, "channels_groups", { channels, groups });
      const per = channels / groups, found = normalized(a, input, range(rank - 1, 1), centered(a, [channels]));
      return { ...found, sees: (at) => found.sees(at).filter((m) => div(m.at[axis], per) === div(at[axis], per)), field: found.field.map(() => Infinity) };
    },
    noise(a, [input], rank, name) {
      const channels = name.startsWith("Spatial");
      if (rank) refuse(input.length === rank + 1, "rank", { expected: rank + 1, shape: input });
      const shown = channels ? toLast(input, a) : input;
      // What one draw drops: a hash stands in for the random numbers.
      const drops = (at, draw) => {
        const key = channels ? [at[at.length - 1]] : at;
        let h = 2166136261 ^ (draw * 16777619);
        for (const n of key) h = Math.imul(h ^ (n + 1), 16777619) ^ (h >>> 13);
        h = Math.imul(h ^ (h >>> 15), 2246822519);
        return ((h ^ (h >>> 13)) >>> 0) / 4294967296 < a.rate;
      };
      const more = { outputs: [input], draws: a.rate !== undefined && name !== "GaussianDropout" ? drops : null };
      return plain(shown, shown, (at) => [{ input: 0, at, tap: 0 }], more);
    },
    flatten(a, [input]) {
      const size = prod(input), order = first(a) && input.length > 1 ? [...input.slice(1), input[0]] : input;
      const from = ([o]) => {
        const at = unravel(o, order);
        return first(a) && input.length > 1 ? [at[at.length - 1], ...at.slice(0, -1)] : at;
      };
      return moved(input, [size], from, { field: input.slice(1).map(() => Infinity), formulas: [[times(range(input.length).map((i) => "abcdef"[i])), `${times(input)} = ${size}`]] });
    },
    reshape(a, [input]) {
      const values = prod(input), known = prod(a.target_shape.filter((n) => n !== -1));
      const open = a.target_shape.includes(-1);
      refuse(open ? known > 0 && values % known === 0 : values === known, "reshape", { values, target: `(${a.target_shape.join(", ")})` });
      const output = a.target_shape.map((n) => (n === -1 ? values / known : n));
      return moved(input, output, (at) => unravel(offset(at, output), input), { formulas: [[`${times(input)}`, `${times(output) || 1} = ${values}`]] });
    },
    permute(a, [input]) {
      refuse(a.dims.length === input.length, "dims", { dims: a.dims.length, axes: input.length });
      const output = a.dims.map((d) => input[d - 1]);
      return moved(input, output, (at) => input.map((_, i) => at[a.dims.indexOf(i + 1)]));
    },
    repeat(a, [input]) {
      refuse(input.length === 1, "rank", { expected: 1, shape: input });
      return moved(input, [a.n, input[0]], ([, c]) => [c], { field: [] });
    },
    merge: (a, inputs) => broadcast(inputs),
    concatenate(a, inputs) {
      const rank = inputs[0].length;
      refuse(inputs.every((one) => one.length === rank), "ranks", { a: inputs[0], b: inputs[1] });
      const [axis] = axesOf([a.axis], rank + 1).map((one) => one - 1);
      refuse(axis >= 0, "batch_axis", { axis: 0 });
      inputs[0].forEach((n, i) => refuse(i === axis || inputs.every((one) => one[i] === n), "concatenate", { a: inputs[0], b: inputs[1], axis: a.axis }));
      const output = inputs[0].map((n, i) => (i === axis ? sum(inputs.map((one) => one[i])) : n));
      const sees = (at) => {
        let input = 0, p = at[axis];
        while (p >= inputs[input][axis]) p -= inputs[input++][axis];
        return [{ input, at: at.map((q, i) => (i === axis ? p : q)), tap: input }];
      };
      const formulas = [["a + b", `${inputs.map((one) => one[axis]).join(" + ")} = ${output[axis]}`]];
      const field = range(rank - 1).map(() => (axis === rank - 1 ? 1 : null));
      return { cells: output, outputs: [output], inputCells: inputs, sees, weights: [], macs: 0, formulas, field, marks: 1 };
    },
    dot(a, inputs) {
      const pair = a.axes.length === 1 ? [a.axes[0], a.axes[0]] : a.axes;
      const [p, q] = inputs.map((one, i) => axesOf([pair[i]], one.length + 1)[0] - 1);
      refuse(p >= 0 && q >= 0, "batch_axis", { axis: 0 });
      refuse(inputs[0][p] === inputs[1][q], "dot", { a: inputs[0][p], b: inputs[1][q] });
      const rests = [inputs[0].filter((_, i) => i !== p), inputs[1].filter((_, i) => i !== q)];
      const output = [...rests[0], ...rests[1]].length ? [...rests[0], ...rests[1]] : [1];
      const put = (rest, axis, k) => [...rest.slice(0, axis), k, ...rest.slice(axis)];
      const sees = (at) => [p, q].flatMap((axis, input) => {
        const rest = input ? at.slice(rests[0].length, rests[0].length + rests[1].length) : at.slice(0, rests[0].length);
        return range(inputs[input][axis]).map((k) => ({ input, tap: k, at: put(rest, axis, k) }));
      });
      const summed = inputs[0][p];
      return {
        cells: output, outputs: [output], inputCells: inputs, sees, weights: [], macs: prod(output) * summed, marks: 2 * summed,
        formulas: [], field: output.slice(1).map(() => null),
      };
    },
  };

  // Arguments: what was typed or chosen -> what the layer works with, or why not -----------------------------------

  const whole = (value, least) => Number.isInteger(value) && value >= least;
  const many = (value, count) => (Array.isArray(value) ? value : range(count).map(() => value));
  const NORMAL = {
    int: (v, c) => (whole(v, c.min ?? -Infinity) ? v : undefined),
    number: (v, c) => (typeof v === "number" && v >= c.min && v <= (c.max ?? Infinity) && !(c.below && v === c.max) ? v : undefined),
    bool: (v) => (typeof v === "boolean" ? v : undefined),
    choice: (v, c) => (c.choices.includes(v) ? v : undefined),
    sizes: (v, c, rank) => (many(v, rank).length === rank && many(v, rank).every((n) => whole(n, c.min)) ? many(v, rank) : undefined),
    pairs(v, c, rank) {
      const list = rank === 1 && Array.isArray(v) && v.length === 2 && !Array.isArray(v[0]) ? [v] : many(v, rank);
      const found = list.map((one) => many(one, 2));
      return found.length === rank && found.every((one) => one.length === 2 && one.every((n) => whole(n, 0))) ? found : undefined;
    },
    axes: (v, c) => (many(v, 1).length && (c.several || many(v, 1).length === 1) && many(v, 1).every(Number.isInteger) ? many(v, 1) : undefined),
    pair: (v) => ([1, 2].includes(many(v, 1).length) && many(v, 1).every(Number.isInteger) ? many(v, 1) : undefined),
    shape: (v) => (Array.isArray(v) && v.every((n) => whole(n, -1)) && v.filter((n) => n === -1).length < 2 ? v : undefined),
    order: (v) => (Array.isArray(v) && [...v].sort((x, y) => x - y).every((n, i) => n === i + 1) ? v : undefined),
  };

  const MOST = 100000; // of a size, and of what one output cell marks

  // The layer `name` with `args` on `inputs`; throws Wrong. `layers` are the data that page.py writes.
  function describe(layers, name, args, inputs) {
    const layer = layers[name], a = {};
    for (const control of layer.args) {
      const given = args[control.name] === undefined ? control.default : args[control.name];
      const value = given === null && control.none ? null : NORMAL[control.type](given, control, layer.rank);
      refuse(value !== undefined, "argument", { name: control.name, expected: control.expected });
      refuse([value].flat(2).every((n) => !(n > MOST)), "large", { name: control.name, most: MOST });
      a[control.name] = value;
    }
    refuse(inputs.length === layer.inputs.length && inputs.every((one) => one.every((n) => whole(n, 1))), "input");
    refuse(inputs.flat().every((n) => n <= MOST), "large", { name: "input", most: MOST });
    const found = KINDS[layer.kind](a, inputs, layer.rank, name);
    const params = sum(found.weights.map(([, shape]) => prod(shape)));
    const { middle = [1], table = [1, 1], scores } = found;
    const marks = Math.max(found.marks, middle[middle.length - 1], table[1], scores ? scores.heads * scores.sources : 1);
    return { ...found, a, name, layer, inputs, params, trainable: params - (found.fixed || 0), drawable: marks <= MOST };
  }

  return { pads, outputSize, transposedPads, transposedSize, describe, Wrong, prod, sum, range, cross, times, div, mod, fromLast, toLast };
})();
if (typeof module !== "undefined") module.exports = Lamina;
