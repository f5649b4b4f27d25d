"use strict";
// The page itself: controls, picture, numbers and code of one layer, or of two side by side. Its state is in the hash.
(() => {
  const DATA = JSON.parse(document.getElementById("data").textContent);
  const { range, prod, times } = Lamina;

  const SAID = {
    title: ["What a layer does", "看懂一个层在做什么"], language: ["Language", "语言"], theme: ["Colours", "配色"],
    auto: ["As the system", "跟随系统"], light: ["Light", "浅色"], dark: ["Dark", "深色"],
    compare: ["Compare two", "两层对比"], layer: ["Layer", "层"], other: ["Other layer", "另一层"],
    input: ["input", "输入"], input0: ["input a", "输入 a"], input1: ["input b", "输入 b"], output: ["output", "输出"],
    query: ["query", "查询"], value: ["value", "值"],
    middle: ["after the depthwise step", "逐通道卷积之后"], table: ["embeddings", "嵌入表"],
    state: ["state, forward in time →", "状态，沿时间向前 →"], state_back: ["state, backward in time ←", "状态，沿时间向后 ←"],
    scores: ["scores: query ↓ value →", "得分：查询 ↓ 值 →"], scores_heads: ["scores of each head: query ↓ value →", "各头得分：查询 ↓ 值 →"],
    run_1: ["steps →, channels ↓", "时间步 →，通道 ↓"], run_2: ["a panel for each channel", "每个通道一幅"],
    run_3: ["panels: depth →, channels ↓", "各幅：深 →，通道 ↓"], run_features: ["steps →, features ↓", "时间步 →，特征 ↓"],
    steps: ["steps", "时间步"], channels: ["channels", "通道"], height: ["height", "高"], width: ["width", "宽"], depth: ["depth", "深"],
    features: ["features", "特征"], part: ["{of}: {part}", "{of}：{part}"], shape: ["shape", "形状"], slider: ["{name}, slider", "{name}，滑块"],
    position: ["Output cell", "输出单元"], draw: ["Draw", "抽样"], play: ["Play", "播放"], pause: ["Pause", "暂停"],
    back: ["One back", "后退一步"], next: ["One on", "前进一步"],
    sees: ["output [{at}] sees {input} [{places}]", "输出 [{at}] 看到{input} [{places}]"],
    sees_some: ["output [{at}] sees {count} values of {input}", "输出 [{at}] 看到{input}的 {count} 个值"],
    sees_none: ["output [{at}] sees no input", "输出 [{at}] 不看任何输入"],
    sees_padding: ["output [{at}] sees padding alone", "输出 [{at}] 只看到填充"],
    padding_too: ["and padding, {count} of the places it looks at", "以及填充（所看位置中的 {count} 个）"],
    dropped: ["draw {n}: {count} of {all} values drawn are 0", "第 {n} 次抽样：所画 {all} 个值中有 {count} 个为 0"],
    cut: ["Only the first places of long axes are drawn; the numbers are for all.", "长轴只画出前面一段；数字按完整大小计算。"],
    not_drawn: ["Too much to draw; the numbers hold.", "太大，无法画出；数字仍然有效。"],
    samples: ["Three samples of a batch, drawn beside or below each other.", "画出一批中的三个样本。"],
    letters: ["n: input size, k: window, s: stride, d: dilation, c: what is cut off", "n：输入长度，k：窗口大小，s：步长，d：空洞率，c：裁去的长度"],
    output_shape: ["Output shape", "输出形状"], each_axis: ["Along {axis}", "沿{axis}"], parameters: ["Parameters", "参数量"],
    fixed: ["{n} of them not trained", "其中 {n} 个不参与训练"],
    weights: ["Weights", "权重"], macs: ["Multiply-adds", "乘加次数"], one_sample: ["for one sample", "每个样本"],
    field: ["Receptive field", "感受野"], all: ["everything", "全部"], unlike: ["differs from place to place", "各处不同"],
    memory: ["Output memory", "输出内存"], bytes: ["{n} bytes a sample in float32", "float32 下每个样本 {n} 字节"],
    code: ["Code", "代码"], costs: ["Costs side by side", "开销对比"], ratio: ["Ratio", "比值"],
    picture: ["Picture of {layer}: {caption}", "{layer} 的示意图：{caption}"],
  };
  // Why an input or an argument is refused, and why there is no code.
  const WHY = {
    argument: ["`{name}` must be {expected}.", "`{name}` 的取值不合法，应为：{expected}。"],
    input: ["Input sizes must be positive whole numbers, separated by commas.", "输入大小必须是正整数，以逗号分隔。"],
    large: ["`{name}` is at most {most} on this page.", "本页中 `{name}` 最大为 {most}。"],
    rank: ["The input must have {expected} axes beside the batch; got ({shape}).", "输入除批次外必须有 {expected} 个轴；现在是 ({shape})。"],
    fit: ["A window of {span} does not fit into an axis of size {size}. Use padding=\"same\", a smaller window or dilation, or a larger input.", "大小为 {span} 的窗口放不进长度为 {size} 的轴。请用 padding=\"same\"、更小的窗口或空洞率，或更大的输入。"],
    dilated_strides: ["`strides` above 1 cannot be combined with `dilation_rate` above 1; got {strides} and {dilation}. Set one of them to 1.", "`strides` 大于 1 时不能同时让 `dilation_rate` 大于 1；现在是 {strides} 和 {dilation}。请把其中一个设为 1。"],
    filters_groups: ["`filters` must be a multiple of `groups`; got {filters} and {groups}.", "`filters` 必须是 `groups` 的整数倍；现在是 {filters} 和 {groups}。"],
    channels_groups: ["The input's channels must be a multiple of `groups`; got {channels} and {groups}.", "输入通道数必须是 `groups` 的整数倍；现在是 {channels} 和 {groups}。"],
    output_padding: ["`output_padding` must be smaller than `strides`; got {extra} and {stride}.", "`output_padding` 必须小于 `strides`；现在是 {extra} 和 {stride}。"],
    cropping: ["Cropping {cut} leaves nothing of an axis of size {size}.", "长度为 {size} 的轴裁掉 {cut} 后什么也不剩。"],
    attention_sizes: ["Query and value must have the same features, as the value is also the key; got {a} and {b}.", "查询和值的特征数必须相同，因为值同时是键；现在是 {a} 和 {b}。"],
    heads: ["`num_query_heads` must be a multiple of `num_key_value_heads`; got {heads} and {others}.", "`num_query_heads` 必须是 `num_key_value_heads` 的整数倍；现在是 {heads} 和 {others}。"],
    axis: ["There is no axis {axis}: with the batch the input has {rank}.", "没有轴 {axis}：连同批次输入共有 {rank} 个轴。"],
    batch_axis: ["Axis {axis} is the batch; choose one after it.", "轴 {axis} 是批次；请选择它之后的轴。"],
    reshape: ["{values} values do not fit into {target}.", "{values} 个值放不进形状 {target}。"],
    dims: ["`dims` names {dims} axes, the input has {axes} beside the batch.", "`dims` 有 {dims} 个轴，而输入除批次外有 {axes} 个。"],
    broadcast: ["Shapes ({a}) and ({b}) do not broadcast: sizes {sizes}. Make them equal, or 1.", "形状 ({a}) 与 ({b}) 无法广播：{sizes}。请让它们相等，或为 1。"],
    ranks: ["The inputs must have the same number of axes; got ({a}) and ({b}).", "各输入的轴数必须相同；现在是 ({a}) 和 ({b})。"],
    concatenate: ["The inputs must agree except along axis {axis}; got ({a}) and ({b}).", "除轴 {axis} 外各输入必须一致；现在是 ({a}) 和 ({b})。"],
    dot: ["The summed axes must have equal sizes; got {a} and {b}.", "被求和的轴大小必须相等；现在是 {a} 和 {b}。"],
    no_layer: ["{generation} has no {layer}.", "{generation} 没有 {layer}。"],
    no_argument: ["{name} of {generation} has no `{argument}`; it is always {value}.", "{generation} 的 {name} 没有 `{argument}`，总是 {value}。"],
    not_so: ["{name} of {generation} does not take {argument}={value}.", "{generation} 的 {name} 不接受 {argument}={value}。"],
    no_twin: ["torch.nn has no module that does the same.", "torch.nn 没有等价的模块。"],
    no_twin_average: ["torch's average would count a padding that is larger at the end.", "末端填充更多时，torch 的平均池化会把填充算进去。"],
    no_twin_heads: ["nn.MultiheadAttention wants num_heads × key_dim = features, and no other options.", "nn.MultiheadAttention 要求 num_heads × key_dim = 特征数，且没有其余选项。"],
    no_twin_grouped: ["F.scaled_dot_product_attention(..., enable_gqa=True), with linear layers around it.", "F.scaled_dot_product_attention(..., enable_gqa=True)，前后再加线性层。"],
    no_twin_broadcast: ["Insert the missing axes behind the batch first.", "先在批次轴之后补上缺少的轴。"],
  };

  const state = { language: DATA.language, theme: "auto", panels: [] };
  const fill = (pair, values = {}) => pair[state.language === "zh" ? 1 : 0].replace(/\{(\w+)\}/g, (_, name) => values[name]);
  const say = (key, values) => fill(SAID[key], values);
  const why = (key, values = {}) => fill(WHY[key], Object.fromEntries(Object.entries(values).map(([k, v]) => [k, Array.isArray(v) ? v.join(", ") : v])));
  const show = (shape) => `(${["N", ...shape].join(", ")})`;
  const count = (n) => n.toLocaleString("en-US");

  function make(tag, attributes = {}, ...children) {
    const svg = ["svg", "g", "rect", "text", "tspan", "line"].includes(tag);
    const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
    }
    made.append(...children.filter((child) => child !== null));
    return made;
  }

  // Values of arguments as text, in fields and in the hash.
  function write(value) {
    if (value === null) return "";
    if (Array.isArray(value)) return value.some(Array.isArray) ? value.map((one) => one.join(",")).join(";") : value.join(",");
    return String(value);
  }
  const whole = (text) => (/^\s*-?\d+\s*$/.test(text) ? Number(text) : NaN);
  const list = (text) => text.split(",").map(whole);
  function read(text, control) {
    if (control.type === "bool") return text === "true";
    if (control.type === "choice") return control.choices.find((one) => String(one) === text) ?? (text === "null" || text === "" ? null : text);
    if (text.trim() === "" && control.none) return null;
    if (control.type === "number") return Number(text);
    if (control.type === "pairs" && text.includes(";")) return text.split(";").map(list);
    const found = list(text.replace(/[()\uff08\uff09]/g, "").replace(/\uff0c/g, ","));
    return found.length === 1 && !["shape", "order"].includes(control.type) ? found[0] : found;
  }
  const start = (entry) => Object.fromEntries(entry.args.map((c) => [c.name, c.name in entry.start ? entry.start[c.name] : c.default]));
  const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

  // The hash --------------------------------------------------------------------------------------------------------

  const PREFIX = ["", "2."];

  function hashed() {
    const words = new URLSearchParams();
    state.panels.forEach((panel, i) => {
      const entry = DATA.layers[panel.layer], usual = start(entry), put = (key, value) => words.set(PREFIX[i] + key, value);
      put("show", panel.layer);
      for (const control of entry.args) if (!same(panel.args[control.name], usual[control.name])) put(control.name, write(panel.args[control.name]));
      panel.inputs.forEach((shape, k) => same(shape, entry.inputs[k]) || put(`input${k || ""}`, write(shape)));
      if (panel.at) put("at", panel.at);
    });
    if (state.language !== DATA.language) words.set("lang", state.language);
    if (state.theme !== "auto") words.set("theme", state.theme);
    return "#" + words.toString().replaceAll("%2C", ",").replaceAll("%3B", ";");
  }

  function unhashed() {
    const words = new URLSearchParams(location.hash.slice(1));
    state.language = ["en", "zh"].includes(words.get("lang")) ? words.get("lang") : DATA.language;
    state.theme = ["light", "dark"].includes(words.get("theme")) ? words.get("theme") : "auto";
    state.panels = PREFIX.filter((prefix) => !prefix || words.has(`${prefix}show`)).map((prefix) => {
      const layer = Object.hasOwn(DATA.layers, words.get(`${prefix}show`)) ? words.get(`${prefix}show`) : "Conv1D";
      const panel = fresh(layer), get = (key) => words.get(prefix + key);
      for (const control of DATA.layers[layer].args) if (get(control.name) !== null) panel.args[control.name] = read(get(control.name), control);
      panel.inputs = panel.inputs.map((shape, k) => (get(`input${k || ""}`) === null ? shape : list(get(`input${k || ""}`))));
      panel.at = Math.max(whole(get("at") ?? "0") || 0, 0);
      return panel;
    });
  }

  const fresh = (layer) => ({ layer, args: start(DATA.layers[layer]), inputs: DATA.layers[layer].inputs.map((one) => [...one]), at: 0, playing: false });
  // Another layer of the family, on the same input and with the same arguments where it has them.
  function beside(panel) {
    const family = DATA.families.find((one) => one.layers.includes(panel.layer)).layers, rank = DATA.layers[panel.layer].rank;
    const wanted = panel.layer.replace(/^Conv/, "SeparableConv");
    const others = family.filter((name) => name !== panel.layer && DATA.layers[name].rank === rank);
    const made = fresh(others.includes(wanted) ? wanted : others[0] ?? panel.layer);
    for (const name of Object.keys(made.args)) if (name in panel.args) made.args[name] = panel.args[name];
    if (made.inputs.length === panel.inputs.length) made.inputs = panel.inputs.map((one) => [...one]);
    return made;
  }
  const remember = () => history.replaceState(null, "", hashed());

  // Controls --------------------------------------------------------------------------------------------------------

  const SLIDES = { kernel_size: 9, strides: 5, dilation_rate: 6, pool_size: 6, padding: 6, cropping: 4, output_padding: 4, size: 5, groups: 8, depth_multiplier: 6 };

  function controls(panel, index, changed) {
    const id = (name) => `p${index}-${name}`;
    const row = (name, label, doc, field, slider) => make("div", { class: "control" }, make("label", { for: id(name) }, label), slider, field,
      doc ? make("small", { id: `${id(name)}-doc` }, doc) : null);

    function sized(name, label, doc, value, most, least, set, type = "text", none = false) {
      const field = make("input", { id: id(name), type, value: write(value), inputmode: "numeric", autocomplete: "off", placeholder: none ? "None" : null, "aria-describedby": doc ? `${id(name)}-doc` : null });
      const flat = [value].flat(2), slides = flat.every((n) => n === flat[0]);
      const slider = make("input", { type: "range", id: `${id(name)}-slide`, min: least, max: most, step: 1, value: slides ? flat[0] ?? least : least, "aria-label": say("slider", { name: label }) });
      field.addEventListener("input", () => {
        const given = set(field.value);
        if (!Array.isArray(given) && Number.isFinite(given)) slider.value = given;
      });
      slider.addEventListener("input", () => {
        field.value = slider.value;
        set(slider.value);
      });
      return row(name, label, doc, field, slider);
    }

    const entry = DATA.layers[panel.layer], rows = [];
    panel.inputs.forEach((shape, k) => {
      const titles = axisNames(entry, panel.args, shape.length), named = nameOfInput(entry, k);
      if (!titles) {
        rows.push(sizedShape(`input${k}`, say("part", { of: say(named), part: say("shape") }), k));
        return;
      }
      shape.forEach((n, i) => rows.push(sized(`input${k}-${i}`, say("part", { of: say(named), part: say(titles[i]) }), "", n, 64, 1, (text) => {
        panel.inputs[k][i] = whole(text);
        changed();
        return whole(text);
      })));
    });
    function sizedShape(name, label, k) {
      const field = make("input", { id: id(name), type: "text", value: write(panel.inputs[k]), inputmode: "numeric", autocomplete: "off" });
      field.addEventListener("input", () => {
        panel.inputs[k] = list(field.value.replace(/\uff0c/g, ","));
        changed();
      });
      return row(name, label, "", field, null);
    }

    for (const control of entry.args) {
      const { name, type } = control, doc = control.doc[state.language], value = panel.args[name];
      const set = (text) => {
        panel.args[name] = read(text, control);
        changed(name);
        return panel.args[name];
      };
      if (type === "bool") {
        rows.push(row(name, name, doc, make("input", { id: id(name), type: "checkbox", checked: value, "aria-describedby": `${id(name)}-doc`, onchange: (event) => set(String(event.target.checked)) }), null));
      } else if (type === "choice") {
        const options = control.choices.map((one) => make("option", { value: String(one), selected: one === value }, one === null ? "None" : one));
        rows.push(row(name, name, doc, make("select", { id: id(name), "aria-describedby": `${id(name)}-doc`, onchange: (event) => set(event.target.value) }, ...options), null));
      } else if (type === "number") {
        const field = make("input", { id: id(name), type: "number", min: control.min, max: control.max ?? null, step: 0.05, value: write(value), "aria-describedby": `${id(name)}-doc` });
        const slider = make("input", { id: `${id(name)}-slide`, type: "range", min: 0, max: 1, step: 0.05, value: write(value), "aria-label": say("slider", { name }) });
        field.addEventListener("input", () => { slider.value = field.value; set(field.value); });
        slider.addEventListener("input", () => { field.value = slider.value; set(slider.value); });
        rows.push(row(name, name, doc, field, slider));
      } else if (["axes", "pair", "shape", "order"].includes(type) || name === "axis") {
        const field = make("input", { id: id(name), type: "text", value: write(value), autocomplete: "off", "aria-describedby": `${id(name)}-doc` });
        field.addEventListener("input", () => set(field.value));
        rows.push(row(name, name, doc, field, null));
      } else {
        rows.push(sized(name, name, doc, value, SLIDES[name] ?? 32, Math.max(control.min ?? 1, 0), set, "text", control.none));
      }
    }
    return rows;
  }

  const SPACE = { 1: ["steps"], 2: ["height", "width"], 3: ["depth", "height", "width"] };

  // What the axes of an input are called; null where a layer takes any number of them.
  function axisNames(entry, args, rank) {
    if (entry.rank && rank === entry.rank + 1) {
      const spatial = SPACE[entry.rank];
      return args.data_format === "channels_first" ? ["channels", ...spatial] : [...spatial, "channels"];
    }
    if (["recurrent", "bidirectional", "attention", "multihead", "grouped"].includes(entry.kind) && rank === 2) return ["steps", "features"];
    if (entry.kind === "embedding" && rank === 1) return ["steps"];
    return entry.kind === "repeat" && rank === 1 ? ["features"] : null;
  }
  function nameOfInput(entry, k) {
    if (["attention", "multihead", "grouped"].includes(entry.kind)) return ["query", "value"][k];
    return entry.inputs.length > 1 ? `input${k}` : "input";
  }

  // Picture ---------------------------------------------------------------------------------------------------------

  function placesOf(numbers) {
    const sorted = [...new Set(numbers)].sort((a, b) => a - b);
    const run = sorted.every((n, i) => n === sorted[0] + i);
    return sorted.length > 2 && run ? `${sorted[0]}–${sorted[sorted.length - 1]}` : sorted.join(" ");
  }

  function caption(found, at, seen) {
    const inside = (m) => m.at.every((p, i) => p >= 0 && p < found.inputCells[m.input][i]);
    const parts = found.inputs.map((_, input) => {
      const own = seen.filter((m) => m.input === input && inside(m));
      if (!own.length) return null;
      const axes = own[0].at.map((_, i) => own.map((m) => m.at[i]));
      const box = prod(axes.map((one) => new Set(one).size)) === own.length;
      const values = { at: at.join(", "), input: say(nameOfInput(found.layer, input)), places: axes.map(placesOf).join(", "), count: own.length };
      return say(box ? "sees" : "sees_some", values);
    }).filter(Boolean);
    const outside = seen.filter((m) => !inside(m)).length;
    if (!parts.length) return say(outside ? "sees_padding" : "sees_none", { at: at.join(", ") });
    return parts.join("; ") + (outside ? ` ${say("padding_too", { count: outside })}` : "");
  }

  function picture(panel, found, view, chosen) {
    const { all, unit, width, height } = Drawing.arrange(found, view.clientWidth || 320);
    const svg = make("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img" });
    const rects = new Map(), out = all[all.length - 1];
    for (const one of all) {
      const title = say(one.title.key === "input" || one.title.key.startsWith("input") ? nameOfInput(found.layer, Number(one.id.slice(2))) : one.title.key);
      const shape = one.title.shape ? ` ${Code.python(one.title.shape)}` : "", hint = hintOf(found, one);
      const fitting = hint && 7 * (title + shape).length + 6.5 * hint.length + 8 < width; // letters are about so wide
      svg.append(make("text", { x: one.x, y: one.y - 6 }, title + shape, fitting ? make("tspan", { class: "note", dx: 8 }, hint) : null));
      one.cells.forEach((at) => {
        const [x, y] = one.place(at), pad = one.pad(at);
        const cell = make("rect", { x: one.x + x * unit, y: one.y + y * unit, width: unit - 1, height: unit - 1, rx: Math.min(3, unit / 5), class: `cell ${pad ? "pad" : ""} ${one.id === "out" ? "out" : ""}` });
        const text = make("text", { x: one.x + (x + 0.5) * unit - 0.5, y: one.y + (y + 0.5) * unit, class: "in" });
        if (found.values && unit >= 15) {
          const from = one.id === "out" ? found.sees(at)[0].at : at, number = from.reduce((t, p, i) => t * found.inputs[0][i] + p, 0);
          if (number < 1000) text.textContent = number;
        }
        if (found.word && one.id === "in0" && unit >= 13) text.textContent = found.word(at);
        rects.set(`${one.id}:${at}`, { cell, text, usual: text.textContent, at });
        if (one.id === "out") {
          cell.addEventListener("pointerenter", () => chosen(at, true));
          cell.addEventListener("click", () => chosen(at, true));
        }
        svg.append(cell, text);
      });
      if (one.state) arrows(svg, one, unit);
    }
    const lines = make("g");
    svg.append(lines);
    const one_d = found.axes && found.axes.length === 1;

    function mark(at, draw) {
      for (const { cell, text, usual } of rects.values()) {
        cell.setAttribute("class", cell.getAttribute("class").replace(/ (k\d|chosen|dropped)/g, ""));
        text.textContent = usual;
        text.classList.remove("marked", "on");
      }
      lines.replaceChildren();
      let dropped = 0;
      if (found.draws) {
        for (const [key, { cell, at: place }] of rects) {
          if (!key.startsWith("out:") || !found.draws(place, draw)) continue;
          cell.setAttribute("class", `${cell.getAttribute("class")} dropped`);
          dropped += 1;
        }
      }
      for (const m of at ? Drawing.marks(found, at) : []) {
        const hit = rects.get(`${m.grid}:${m.at}`);
        if (!hit) continue;
        const colour = m.colour === null ? (m.chosen ? "" : " k0") : ` k${m.colour % 8}`;
        hit.cell.setAttribute("class", `${hit.cell.getAttribute("class").replace(/ k\d/g, "")}${colour}${m.chosen ? " chosen" : ""}`);
        if (m.text && unit >= 14) hit.text.textContent = m.text;
        hit.text.classList.toggle("marked", colour !== "");
        hit.text.classList.toggle("on", colour === "");
        if (one_d && m.grid === "in0") link(all[0], out, m.at, at);
      }
      return { dropped, all: out.cells.length };
    }
    // From the lower edge of an input's column to the upper edge of the output's.
    const linked = new Set();
    function link(from, to, source, target) {
      if (lines.childElementCount === 0) linked.clear();
      if (linked.has(source[0]) || !from.drawn(source) || found.middle) return;
      linked.add(source[0]);
      const edge = (grid, at) => grid.x + (grid.place(at)[0] + 0.5) * unit;
      lines.append(make("line", { class: "link", x1: edge(from, source), y1: from.y + from.rows * unit + 2, x2: edge(to, target), y2: to.y - TITLE_SPACE }));
    }
    view.replaceChildren(svg);
    return { mark, svg, out, cut: all.some((one) => one.cut) };
  }
  const TITLE_SPACE = 19;

  // What runs where in a grid.
  function hintOf(found, { id, shape }) {
    const beside = id.startsWith("in") && found.inputs.length > 1;
    const vector = id === "out" && found.outputs[0].length < shape.length;
    if (!/^(in|out|middle)/.test(id) || beside || vector || found.batch || found.word) return "";
    const { rank, kind } = found.layer;
    if (rank && shape.length === rank + 1) return say(["", "run_1", "run_2", "run_3"][rank]);
    return ["recurrent", "bidirectional", "attention", "multihead", "grouped"].includes(kind) ? say("run_features") : "";
  }

  // Where the state goes, from step to step.
  function arrows(svg, grid, unit) {
    if (unit < 14) return;
    for (const at of grid.cells) {
      const { textContent } = { textContent: grid.state.backwards ? "←" : "→" };
      const [x, y] = grid.place(at);
      svg.append(make("text", { x: grid.x + (x + 0.5) * unit, y: grid.y + (y + 0.5) * unit, class: "in" }, textContent));
    }
  }

  // Panels ----------------------------------------------------------------------------------------------------------

  const describe = (panel) => Lamina.describe(DATA.layers, panel.layer, panel.args, panel.inputs);

  function facts(found) {
    const list = [], put = (term, ...what) => list.push(make("dt", {}, term), make("dd", {}, ...what));
    put(say("output_shape"), make("b", {}, found.outputs.map(show).join(", ")));
    const spatial = found.layer.rank ? SPACE[found.layer.rank].map((one) => say(one)) : [];
    found.formulas.forEach((one, i) => one && put(spatial.length > 1 ? say("each_axis", { axis: spatial[i] }) : say("output"), `${one[0]} = ${one[1]}`));
    if (found.kernel && found.formulas.length) put("", make("small", {}, say("letters")));
    const terms = found.weights.map(([, shape]) => times(shape) || "1").join(" + ");
    const several = found.weights.length > 1 || found.weights.some(([, shape]) => shape.length > 1);
    put(say("parameters"), make("b", {}, count(found.params)), several ? ` = ${terms}` : "", found.fixed ? ` (${say("fixed", { n: found.fixed })})` : "");
    if (found.weights.length) put(say("weights"), found.weights.map(([name, shape]) => `${name} ${Code.python(shape)}`).join(", "));
    put(say("macs"), make("b", {}, count(found.macs)), ` ${say("one_sample")}`);
    if (found.field.length) put(say("field"), found.field.map((n) => (n === Infinity ? say("all") : n === null ? say("unlike") : n)).join(" × "));
    put(say("memory"), say("bytes", { n: count(4 * Lamina.sum(found.outputs.map(prod))) }));
    return make("dl", {}, ...list);
  }

  function spellings(found) {
    const list = Code.spellings(DATA.layers, found).flatMap(([title, one]) => [
      make("dt", {}, title), one.why ? make("dd", { class: "none" }, why(one.why, one.values)) : make("dd", {}, one.text),
    ]);
    return make("dl", { class: "spelled" }, ...list);
  }

  function panelOf(panel, index) {
    const id = `layer${index}`;
    const groups = DATA.families.map((family) => make("optgroup", { label: family.title[state.language] }, ...family.layers.map((name) => make("option", { value: name, selected: name === panel.layer }, name))));
    const select = make("select", { id }, ...groups);
    const about = make("p", { class: "about" }), fields = make("div");
    const view = make("div", { class: "picture" }), words = make("p", { class: "caption" }), note = make("small");
    const slider = make("input", { type: "range", min: 0, step: 1, value: panel.at });
    const play = make("button", { type: "button" });
    const step = (by, key, sign) => make("button", { type: "button", "aria-label": say(key), title: say(key), onclick: () => { halt(); go(panel.at + by); remember(); } }, sign);
    const player = make("div", { class: "player" }, step(-1, "back", "←"), play, step(1, "next", "→"), slider);
    const wrong = make("p", { class: "wrong", role: "alert", hidden: true }), numbers = make("div"), code = make("div");
    let found = null, drawn = null, cells = [], timer = null;
    const entry = () => DATA.layers[panel.layer];

    function go(at) {
      if (!found || !drawn) return;
      panel.at = ((at % cells.length) + cells.length) % cells.length;
      slider.value = panel.at;
      const place = found.draws ? null : cells[panel.at];
      tell(place, panel.at);
    }
    function tell(place, draw) {
      const { dropped, all } = drawn.mark(place, draw);
      const text = place ? caption(found, place, found.sees(place)) : say("dropped", { n: draw + 1, count: dropped, all });
      words.textContent = text;
      slider.setAttribute("aria-valuetext", text);
      drawn.svg.setAttribute("aria-label", say("picture", { layer: panel.layer, caption: text }));
    }
    function chosen(at) {
      halt();
      if (found.draws) return;
      go(cells.findIndex((one) => same(one, at)));
      remember();
    }
    function halt() {
      clearInterval(timer);
      timer = null;
      play.textContent = "▶";
      play.setAttribute("aria-label", say("play"));
      play.title = say("play");
    }
    function run() {
      timer = setInterval(() => go(panel.at + 1), 800);
      play.textContent = "❚❚";
      play.setAttribute("aria-label", say("pause"));
      play.title = say("pause");
    }
    play.addEventListener("click", () => (timer ? halt() : run()));
    slider.addEventListener("input", () => { halt(); go(Number(slider.value)); remember(); });
    // Up and down go from row to row.
    slider.addEventListener("keydown", (event) => {
      const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
      if (!by || !drawn) return;
      event.preventDefault();
      halt();
      go(panel.at + by * drawn.rowLength);
      remember();
    });

    function update() {
      try {
        found = describe(panel);
      } catch (error) {
        if (!(error instanceof Lamina.Wrong)) throw error;
        found = null;
        halt();
        const { expected } = error.values;
        wrong.textContent = why(error.key, { ...error.values, expected: expected?.[state.language] ?? expected });
      }
      const shown = (value) => (Array.isArray(value) ? (value.every((n) => n === value[0]) ? value[0] : `(${value.join(", ")})`) : value);
      about.textContent = entry().about[state.language].replace(/\{layer\.(\w+)\}/g, (_, name) => shown((found ? found.a : panel.args)[name]));
      wrong.hidden = found !== null;
      for (const one of [view, words, note, player, numbers, code]) one.hidden = found === null;
      if (!found) return;
      redraw();
      numbers.replaceChildren(facts(found));
      code.replaceChildren(make("h3", {}, say("code")), spellings(found));
    }
    function redraw() {
      if (!found) return;
      for (const one of [view, player, words]) one.hidden = !found.drawable;
      if (!found.drawable) {
        halt();
        drawn = null;
        note.textContent = say("not_drawn");
        return;
      }
      drawn = picture(panel, found, view, chosen);
      // Positions first, channels last; noise moves from draw to draw.
      const last = drawn.out.shape.length - 1;
      const order = (at) => [at[last], ...at.slice(0, last)];
      cells = found.draws ? range(8) : [...drawn.out.cells].sort((a, b) => {
        const [x, y] = [order(a), order(b)], i = x.findIndex((n, k) => n !== y[k]);
        return i < 0 ? 0 : x[i] - y[i];
      });
      drawn.rowLength = found.draws ? 1 : Math.max(drawn.out.shown[Math.max(last - 1, 0)][1], 1);
      slider.max = cells.length - 1;
      slider.setAttribute("aria-label", say(found.draws ? "draw" : "position"));
      note.textContent = [found.batch ? say("samples") : "", drawn.cut ? say("cut") : ""].join(" ").trim();
      go(Math.min(panel.at, cells.length - 1));
    }
    const changed = (name) => {
      if (name === "data_format") {
        const shape = panel.inputs[0];
        panel.inputs[0] = panel.args.data_format === "channels_first" ? [shape[shape.length - 1], ...shape.slice(0, -1)] : [...shape.slice(1), shape[0]];
        fields.replaceChildren(...controls(panel, index, changed));
        fields.querySelector(`#p${index}-data_format`).focus();
      }
      update();
      costs();
      remember();
    };
    function choose(name) {
      Object.assign(panel, fresh(name));
      lay();
    }
    function lay() {
      fields.replaceChildren(...controls(panel, index, changed));
      update();
    }
    select.addEventListener("change", () => {
      choose(select.value);
      costs();
      remember();
    });
    halt();
    const section = make("section", { class: "panel", "aria-label": say(index ? "other" : "layer") },
      make("div", { class: "choice" }, make("div", { class: "chosen" }, make("label", { for: id }, say(index ? "other" : "layer")), select), about),
      make("div", { class: "controls" }, fields), make("div", { class: "seen" }, wrong, view, player, words, note), make("div", { class: "facts" }, numbers, code));
    return { section, lay, redraw, halt, found: () => found };
  }

  let shown = [];

  function costs() {
    const place = document.getElementById("costs"), found = shown.map((one) => one.found());
    place.hidden = found.length < 2 || found.includes(null);
    if (place.hidden) return;
    const row = (term, values, ratio) => make("tr", {}, make("th", { scope: "row" }, term), ...values.map((v) => make("td", {}, v)), make("td", {}, ratio));
    const numbers = (term, values) => row(term, values.map(count), values[0] && values[1] ? `× ${Number((values[1] / values[0]).toPrecision(3))}` : "–");
    place.replaceChildren(make("h2", {}, say("costs")), make("table", {},
      make("tr", {}, make("td"), ...found.map((one) => make("th", { scope: "col" }, one.name)), make("th", { scope: "col" }, say("ratio"))),
      row(say("output_shape"), found.map((one) => one.outputs.map(show).join(", ")), ""),
      numbers(say("parameters"), found.map((one) => one.params)),
      numbers(say("macs"), found.map((one) => one.macs)),
      row(say("field"), found.map((one) => one.field.map((n) => (n === Infinity ? say("all") : n === null ? say("unlike") : n)).join(" × ") || "–"), ""),
      numbers(say("memory"), found.map((one) => 4 * Lamina.sum(one.outputs.map(prod))))));
  }

  function everything() {
    document.documentElement.lang = state.language === "zh" ? "zh-CN" : "en";
    const dark = state.theme === "dark" || (state.theme === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    document.title = `${say("title")} · Lamina`;
    for (const one of document.querySelectorAll("[data-said]")) one.textContent = say(one.dataset.said);
    document.getElementById("language").value = state.language;
    document.getElementById("theme").value = state.theme;
    document.getElementById("compare").setAttribute("aria-pressed", state.panels.length > 1);
    const panels = document.getElementById("panels");
    panels.className = state.panels.length > 1 ? "two" : "";
    shown.forEach((one) => one.halt());
    shown = state.panels.map(panelOf);
    panels.replaceChildren(...shown.map((one) => one.section));
    shown.forEach((one) => one.lay());
    costs();
  }

  for (const name of ["language", "theme"]) {
    document.getElementById(name).addEventListener("change", (event) => {
      state[name] = event.target.value;
      everything();
      remember();
    });
  }
  document.getElementById("compare").addEventListener("click", () => {
    if (state.panels.length > 1) state.panels.pop();
    else state.panels.push(beside(state.panels[0]));
    everything();
    remember();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", everything);
  addEventListener("hashchange", () => {
    unhashed();
    everything();
  });
  addEventListener("resize", () => shown.forEach((one) => one.redraw()));
  unhashed();
  everything();
})();
