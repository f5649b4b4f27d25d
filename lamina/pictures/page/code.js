"use strict";
// How layers are written: in each generation of Keras, by the forms of `spelled.spelling_table`, and in torch.
const Code = (() => {
  const { prod, sum, range, times } = Lamina;

  function python(value) {
    if (Array.isArray(value)) return value.length === 1 ? `(${python(value[0])},)` : `(${value.map(python).join(", ")})`;
    if (typeof value === "string") return `"${value}"`;
    return value === null ? "None" : value === true ? "True" : value === false ? "False" : String(value);
  }
  const equal = (a, b) => JSON.stringify(a) === JSON.stringify(b);
  const uniform = (list) => (list.every((one) => equal(one, list[0])) ? list[0] : list);

  function shaped(sizes, shape) {
    const flat = sizes.flat();
    if (shape === "one") return equal(uniform(flat), flat[0]) ? flat[0] : sizes.length === 1 && Array.isArray(sizes[0]) ? sizes[0] : sizes;
    if (shape === "tuple") return sizes;
    if (sizes.every((one) => one[0] === one[one.length - 1])) return sizes.map((one) => one[0]);
    return shape === "flat" ? flat : undefined;
  }

  const NAMES = { keras1: "Keras 1", keras2: "Keras 2", tf_keras: "tf.keras", keras3: "Keras 3" };
  // A reason instead of code: a key of the page's sentences, with values.
  const no = (key, values = {}) => ({ why: key, values });

  // The layer as data: what the forms call the values of today.
  function valuesOf(found) {
    const a = { ...found.a };
    for (const control of found.layer.args) {
      if (control.call) delete a[control.name];
      if (["axes", "pair"].includes(control.type)) a[control.name] = control.type === "pair" || control.several ? (a[control.name].length === 1 ? a[control.name][0] : a[control.name]) : a[control.name][0];
    }
    return a;
  }

  function keras(layers, found, generation) {
    if (found.layer.kind === "bidirectional") {
      const args = { units: found.a.units, return_sequences: found.a.return_sequences };
      const inner = keras(layers, Lamina.describe(layers, found.a.layer, args, found.inputs), generation);
      return inner.why ? inner : written(layers, found, generation, { layer: inner.text, merge_mode: found.a.merge_mode });
    }
    return written(layers, found, generation, valuesOf(found));
  }

  function written(layers, found, generation, values) {
    const forms = found.layer.forms[generation], title = NAMES[generation];
    if (!forms.length) return no("no_layer", { generation: title, layer: found.name });
    const made = forms.map((form) => fill(form, found, generation, values));
    const last = made[made.length - 1]; // the form that can say most
    return made.find((one) => !one.why) || { ...last, values: { ...last.values, generation: title } };
  }

  function fill(form, found, generation, values) {
    const positional = [], keywords = [];
    for (const [argument, value] of Object.entries(form.otherwise)) {
      if (argument in values && !equal(values[argument], value)) return no("no_argument", { name: form.name, argument, value: python(value) });
    }
    for (const word of form.words) {
      if ("value" in word) {
        keywords.push(`${word.word}=${python(word.value)}`);
        continue;
      }
      let value = values[word.argument];
      if (word.argument === "output_shape of the call") value = [null, ...found.outputs[0]];
      else if (value === undefined) continue;
      if ("part" in word) value = value[word.part];
      if ("default" in word && (equal(value, word.default) || (word.follows && (value === null || equal(value, values[word.follows]))))) continue;
      for (const other of word.also || []) {
        if (other in values && !equal(values[other], value)) return no("not_so", { name: form.name, argument: other, value: python(values[other]) });
      }
      if (word.only && !word.only.includes(value)) return no("not_so", { name: form.name, argument: word.argument, value: python(value) });
      const given = value;
      for (const [today, then] of word.values || []) if (equal(given, today)) value = then;
      if (Array.isArray(value) && word.shape) value = shaped(value, word.shape);
      if (value === undefined) return no("not_so", { name: form.name, argument: word.argument, value: python(given) });
      const text = word.argument === "layer" ? value : python(value);
      if ("default" in word || keywords.length) keywords.push(`${word.word}=${text}`);
      else positional.push(text);
    }
    return { text: `${form.name}(${[...positional, ...keywords].join(", ")})` };
  }

  // With what only a call says, where Keras 3 has it.
  function called(found, text) {
    const calls = found.layer.args.filter((control) => control.call && found.a[control.name]);
    if (!calls.length) return text;
    const list = ["attention"].includes(found.layer.kind), two = found.inputs.length > 1;
    const inputs = list ? "[query, value]" : two ? "query, value" : "x";
    return `layer = ${text}\nlayer(${inputs}, ${calls.map((control) => `${control.name}=True`).join(", ")})`;
  }

  // torch -----------------------------------------------------------------------------------------------------------

  const several = (list) => (list.length === 1 || equal(uniform(list), list[0]) ? python(list[0]) : python(list));
  const all = (...parts) => (parts.length === 1 ? parts[0] : `nn.Sequential(${parts.join(", ")})`);
  const option = (name, list, usual) => (list.every((one) => one === usual) ? "" : `, ${name}=${several(list)}`);
  const padded = (rank, pairs, value) => {
    const flat = [...pairs].reverse().flat();
    return value === undefined ? `nn.ZeroPad${rank}d(${python(flat)})` : `nn.ConstantPad${rank}d(${python(flat)}, ${value})`;
  };

  // A convolution and the padding before it, where torch's own does not do.
  function convolved(found, inputs, outputs, groups, bias) {
    const { a, axes, layer: { rank } } = found;
    const pairs = axes.map((one) => [one.before, one.after]);
    const even = pairs.every(([before, after]) => before === after);
    const unit = a.strides.every((one) => one === 1);
    const padding = a.padding === "same" && unit && !even ? ', padding="same"' : even ? option("padding", pairs.map(([before]) => before), 0) : "";
    const conv = `nn.Conv${rank}d(${inputs}, ${outputs}, ${several(a.kernel_size)}${option("stride", a.strides, 1)}${padding}`
      + `${option("dilation", a.dilation_rate, 1)}${groups > 1 ? `, groups=${groups}` : ""}${bias ? "" : ", bias=False"})`;
    return padding || even ? [conv] : [padded(rank, pairs), conv];
  }

  const size = (found) => found.inputs[0][found.inputs[0].length - 1];
  const channelsOf = (found) => found.inputCells[0][found.layer.rank];
  

  const TORCH = {
    conv: (f) => all(...convolved(f, channelsOf(f), f.a.filters, f.a.groups, f.a.use_bias)),
    depthwise: (f) => all(...convolved(f, channelsOf(f), channelsOf(f) * f.a.depth_multiplier, channelsOf(f), f.a.use_bias)),
    separable(f) {
      const middle = channelsOf(f) * f.a.depth_multiplier;
      const last = `nn.Conv${f.layer.rank}d(${middle}, ${f.a.filters}, 1${f.a.use_bias ? "" : ", bias=False"})`;
      return all(...convolved(f, channelsOf(f), middle, channelsOf(f), false), last);
    },
    transposed(f) {
      const { a, layer: { rank } } = f;
      const crops = range(rank).map((i) => Lamina.transposedPads(a.kernel_size[i], a.strides[i], a.padding, a.output_padding ? a.output_padding[i] : null, a.dilation_rate[i]));
      const extra = crops.map(([before, after]) => before - after);
      const short = extra.map((one) => Math.min(one, 0));
      const conv = `nn.ConvTranspose${rank}d(${channelsOf(f)}, ${a.filters}, ${several(a.kernel_size)}${option("stride", a.strides, 1)}`
        + `${option("padding", crops.map(([before]) => before), 0)}${option("output_padding", extra.map((one) => Math.max(one, 0)), 0)}`
        + `${option("dilation", a.dilation_rate, 1)}${a.use_bias ? "" : ", bias=False"})`;
      return short.some((one) => one) ? all(conv, padded(rank, short.map((one) => [0, one]))) : conv;
    },
    local: () => no("no_twin"),
    pool(f) {
      const { a, axes, name, layer: { rank } } = f, strides = a.strides || a.pool_size;
      const most = name.startsWith("Max"), what = `nn.${most ? "Max" : "Avg"}Pool${rank}d`;
      const stride = equal(strides, a.pool_size) ? "" : `, ${several(strides)}`;
      const even = axes.every((one) => one.before === one.after);
      const before = axes.map((one) => one.before);
      if (!most && rank === 3 && axes.some((one, i) => one.input < a.pool_size[i])) return no("no_twin"); // torch refuses
      if (even) return `${what}(${several(a.pool_size)}${stride}${option("padding", before, 0)}${most || !sum(before) ? "" : ", count_include_pad=False"})`;
      if (most) return all(padded(rank, axes.map((one) => [one.before, one.after]), 'float("-inf")'), `${what}(${several(a.pool_size)}${stride})`);
      // ceil_mode lets the last window hang over, and what hangs over does not count.
      const sizes = axes.map((one, i) => {
        let output = Math.ceil((one.input + 2 * one.before - a.pool_size[i]) / strides[i]) + 1;
        if ((output - 1) * strides[i] >= one.input + one.before) output -= 1;
        return output === one.output && one.input + 2 * one.before >= a.pool_size[i];
      });
      if (!sizes.every(Boolean)) return no("no_twin_average");
      return `${what}(${several(a.pool_size)}${stride}${option("padding", before, 0)}, ceil_mode=True, count_include_pad=False)`;
    },
    global(f) {
      const pool = `nn.Adaptive${f.name.includes("Max") ? "Max" : "Avg"}Pool${f.layer.rank}d(1)`;
      return f.a.keepdims ? pool : all(pool, "nn.Flatten()");
    },
    adaptive: (f) => `nn.Adaptive${f.name.includes("Max") ? "Max" : "Avg"}Pool${f.layer.rank}d(${several(f.a.output_size)})`,
    padding: (f) => padded(f.layer.rank, f.a.padding),
    cropping: (f) => padded(f.layer.rank, f.a.cropping.map((pair) => pair.map((n) => -n || 0))),
    upsampling(f) {
      const factor = several([f.a.size].flat()), mode = f.a.interpolation || "nearest";
      if (["nearest", "area"].includes(mode)) return `nn.Upsample(scale_factor=${factor})`;
      return mode === "bilinear" ? `nn.Upsample(scale_factor=${factor}, mode="bilinear")` : no("no_twin");
    },
    dense: (f) => `nn.Linear(${size(f)}, ${f.a.units}${f.a.use_bias ? "" : ", bias=False"})`,
    recurrent(f) {
      const { a, name } = f;
      if (name === "GRU" && !a.reset_after) return no("no_twin");
      const bias = a.use_bias ? "" : "bias=False, ";
      return `nn.${name === "SimpleRNN" ? "RNN" : name}(${size(f)}, ${a.units}, ${bias}batch_first=True)${a.go_backwards ? "  # x.flip(1)" : ""}`;
    },
    bidirectional(f) {
      const name = f.a.layer === "SimpleRNN" ? "RNN" : f.a.layer;
      return f.a.merge_mode === "concat" ? `nn.${name}(${size(f)}, ${f.a.units}, batch_first=True, bidirectional=True)` : no("no_twin");
    },
    attention(f) {
      if (f.name !== "Attention" || f.a.score_mode !== "dot") return no("no_twin");
      const causal = f.a.use_causal_mask ? ", is_causal=True" : "";
      return `F.scaled_dot_product_attention(${f.a.use_scale ? "scale * query" : "query"}, value, value${causal}, scale=1.0)`;
    },
    multihead(f) {
      const { a, inputs: [query, value] } = f, width = a.num_heads * a.key_dim;
      const plain = width === query[1] && [null, a.key_dim].includes(a.value_dim) && !a.use_gate && a.sliding_window === null;
      if (!plain) return no("no_twin_heads");
      const other = value[1] === width ? "" : `, kdim=${value[1]}, vdim=${value[1]}`;
      return `nn.MultiheadAttention(${width}, ${a.num_heads}${a.use_bias ? "" : ", bias=False"}${other}, batch_first=True)`;
    },
    grouped: () => no("no_twin_grouped"),
    embedding: (f) => `nn.Embedding(${f.a.input_dim}, ${f.a.output_dim})`,
    batchnorm(f) {
      const { a, inputs: [input] } = f, rank = input.length + 1, axis = Lamina.mod(a.axis[0], rank);
      if (rank > 5 || a.center !== a.scale) return no("no_twin");
      return `nn.BatchNorm${Math.max(rank - 2, 1)}d(${input[axis - 1]}, eps=0.001, momentum=0.01${a.center ? "" : ", affine=False"})`;
    },
    layernorm(f) {
      const { a, name, inputs: [input] } = f, rank = input.length + 1;
      const axes = a.axis.map((one) => Lamina.mod(one, rank));
      if (name === "UnitNormalization") return axes.length === 1 ? `F.normalize(x, dim=${axes[0]})` : no("no_twin");
      const last = axes.every((one, i) => one === rank - axes.length + i);
      if (!last || (name === "LayerNormalization" && !a.scale && a.center)) return no("no_twin");
      const sizes = axes.map((one) => input[one - 1]);
      if (name === "RMSNormalization") return `nn.RMSNorm(${several(sizes.length === 1 ? sizes : [sizes])}, eps=1e-6)`;
      const how = a.scale ? (a.center ? "" : ", bias=False") : ", elementwise_affine=False";
      return `nn.LayerNorm(${sizes.length === 1 ? sizes[0] : python(sizes)}, eps=0.001${how})`;
    },
    groupnorm(f) {
      const { a, inputs: [input] } = f, channels = input[Lamina.mod(a.axis[0], input.length + 1) - 1];
      if (a.center !== a.scale) return no("no_twin");
      return `nn.GroupNorm(${a.groups === -1 ? channels : a.groups}, ${channels}, eps=0.001${a.center ? "" : ", affine=False"})`;
    },
    noise(f) {
      const { a, name, layer: { rank } } = f;
      if (name === "GaussianNoise") return `x + ${python(a.stddev)} * torch.randn_like(x)`;
      if (name === "GaussianDropout") return `x * (1 + (${python(a.rate)} / (1 - ${python(a.rate)}))**0.5 * torch.randn_like(x))`;
      return `nn.${name === "AlphaDropout" ? "AlphaDropout" : `Dropout${rank ? `${rank}d` : ""}`}(${python(a.rate)})`;
    },
    flatten: () => "nn.Flatten()",
    reshape: (f) => `x.reshape(len(x), ${f.a.target_shape.join(", ")})`,
    permute: (f) => `x.permute(0, ${f.a.dims.join(", ")})`,
    repeat: (f) => `x.unsqueeze(1).expand(-1, ${f.a.n}, -1)`,
    merge(f) {
      const forms = { Add: "a + b", Subtract: "a - b", Multiply: "a * b", Average: "(a + b) / 2", Maximum: "torch.maximum(a, b)", Minimum: "torch.minimum(a, b)" };
      return f.inputs[0].length === f.inputs[1].length ? forms[f.name] : no("no_twin_broadcast");
    },
    concatenate: (f) => `torch.cat((a, b), ${f.a.axis})`,
    dot(f) {
      const pair = f.a.axes.length === 1 ? [f.a.axes[0], f.a.axes[0]] : f.a.axes;
      const [p, q] = f.inputs.map((one, i) => Lamina.mod(pair[i], one.length + 1));
      const letters = ["bcdefg", "ijklmn"].map((set, i) => range(f.inputs[i].length).map((j) => (j + 1 === [p, q][i] ? "z" : set[j])).join(""));
      const out = letters.map((one) => one.replace("z", "")).join("");
      const sides = ["a", "b"].map((one, i) => (f.a.normalize ? `F.normalize(${one}, dim=${[p, q][i]})` : one));
      return `torch.einsum("a${letters[0]},a${letters[1]}->a${out}", ${sides.join(", ")})${out ? "" : ".unsqueeze(1)"}`;
    },
  };

  function torch(found) {
    const made = TORCH[found.layer.kind](found);
    return typeof made === "string" ? { text: made } : made;
  }

  // All spellings: [title, {text} or {why, values}].
  function spellings(layers, found) {
    const three = keras(layers, found, "keras3");
    const ours = found.layer.kind === "local" || three.why ? keras(layers, found, "lamina") : three;
    const now = (one) => (one.why ? one : { text: called(found, one.text) });
    return [
      ["Keras 1", keras(layers, found, "keras1")], ["Keras 2", keras(layers, found, "keras2")],
      ["tf.keras", keras(layers, found, "tf_keras")], ["Keras 3", now(three)], ["Lamina", now(ours)], ["PyTorch", torch(found)],
    ];
  }

  return { keras, torch, spellings, python };
})();
if (typeof module !== "undefined") module.exports = Code;
