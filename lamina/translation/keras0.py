"""Configs of Keras 0.3, and of the `Graph` that went on to 1.1, in the words of Keras 1.2."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Described = dict[str, Any]

_RENAMED = {("Reshape", "dims"): "target_shape"}
_GONE = ("cache_enabled", "name", "custom_name")  # besides the class' name, which stands outside now
_MODELS = ("Sequential", "Graph")


def is_old(described: Mapping[str, Any]) -> bool:
    """Whether a model's description is of Keras 0.3, where a class' name stands among its arguments, or a Graph."""
    if "class_name" in described:
        return described["class_name"] == "Graph"
    return described.get("name") in _MODELS and bool(described.keys() & {"layers", "node_config"})


def to_keras1(described: Mapping[str, Any]) -> Described:
    """The same model as Keras 1.2 describes it. Raises ValueError for what it had no more."""
    if described.get("class_name", described.get("name")) == "Graph":
        return {"class_name": "Model", "config": _graph(described.get("config", described))}
    return _layer(described)


def _layer(described: Mapping[str, Any]) -> Described:
    """A layer or model; those of Keras 1.0 and later as they are."""
    if "class_name" in described:
        return dict(described)
    name = described["name"]
    if name == "Sequential":
        return {"class_name": name, "config": [_layer(one) for one in described["layers"]]}
    if name == "AutoEncoder":
        parts = [described["encoder_config"], *[described["decoder_config"]] * bool(described["output_reconstruction"])]
        return {"class_name": "Sequential", "config": [_layer(one) for one in parts]}
    gone = (*_GONE, "input_shape", "batch_input_shape") if name == "Embedding" else _GONE  # its shape was its words'
    config = {_RENAMED.get((name, key), key): value for key, value in described.items() if key not in gone}
    if "layers" in config:
        config["layers"] = [_layer(one) for one in config["layers"]]
    if "layer" in config:
        config["layer"] = _layer(config["layer"])
    return {"class_name": name, "config": config | ({"name": own} if (own := described.get("custom_name")) else {})}


def _graph(graph: Mapping[str, Any]) -> Described:
    """A model of named nodes, each of which joins its inputs itself, as a functional one."""
    places: dict[str, list[Any]] = {}  # of the outputs behind a name: [layer, call, output]
    layers: list[Described] = []

    def add(name: str, described: Described, calls: list[list[list[Any]]]) -> None:
        named = {**described["config"], "name": name} if isinstance(described["config"], dict) else described["config"]
        layers.append({**described, "name": name, "config": named, "inbound_nodes": calls})
        places[name] = [name, 0, 0]

    def joined(name: str, node: Mapping[str, Any]) -> list[Any]:
        """Where the one input of a node is, which may have to be joined of several."""
        if node.get("input"):
            return places[node["input"]]
        merge = {"mode": node.get("merge_mode", "concat")} | {key: node.get(key, -1) for key in _JOINING}
        add(name, {"class_name": "Merge", "config": merge}, [[places[one] for one in node["inputs"]]])
        return places.pop(name)

    for one in graph["input_config"]:
        shape = one.get("batch_input_shape") or [None, *one["input_shape"]]
        dtype = "int32" if str(one.get("dtype", "float")).startswith("int") else "float32"
        add(one["name"], {"class_name": "InputLayer", "config": {"batch_input_shape": shape, "input_dtype": dtype}}, [])
    for node in graph["node_config"]:
        name, stored = node["name"], graph["nodes"][node["name"]]
        if stored.get("name") == "SiameseHead":  # an output of a shared node
            places[name] = [*node["inputs"], stored["head"], 0]
            continue
        shared = stored.get("name") == "Siamese" or bool(stored.get("shared")) or "outputs" in node
        if not shared:
            add(name, _layer(stored), [[joined(f"merge_inputs_for_{name}", node)]])
            continue
        add(name, _layer(node.get("layer") or stored.get("layer") or stored), [[places[one]] for one in node["inputs"]])
        calls = [[name, call, 0] for call in range(len(node["inputs"]))]
        places |= zip(node.get("outputs") or (), calls, strict=False)
        if node.get("merge_mode"):
            places |= dict(zip((f"{name} {call}" for call in range(len(calls))), calls, strict=True))
            inner = {**node, "input": None, "inputs": [f"{name} {call}" for call in range(len(calls))]}
            places[name] = joined(f"merge_outputs_of_{name}", inner)
    outputs = list(_outputs(graph, places, add, joined))
    return {"layers": layers, "input_layers": [[one["name"], 0, 0] for one in graph["input_config"]],
            "output_layers": outputs}  # fmt: skip


_JOINING = ("concat_axis", "dot_axes")


def _outputs(graph: Mapping[str, Any], places: Any, add: Any, joined: Any) -> Iterator[list[Any]]:
    """Where the outputs are, behind a layer of their name where they have one of their own."""
    for one in graph["output_config"]:
        found = joined(f"merge_inputs_for_{one['name']}", one)
        if one["name"] not in places:
            add(one["name"], {"class_name": "Activation", "config": {"activation": "linear"}}, [[found]])
            found = places[one["name"]]
        yield found
