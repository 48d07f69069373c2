"""Rewrite the configs of models that Keras 1 to 2 wrote, as Teachable Machine still does, for Keras 3.

Only JSON is read and no code in it is run: layers of Keras are made of their names and numbers, and TensorFlow's
arithmetic between them becomes layers too.
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from mien.errors import ExportError

Config = dict[str, Any]

#: Settings that Keras 3 does not know, with the values under which they mean nothing.
_MEANINGLESS: dict[str, tuple[Any, ...]] = {
    "groups": (1,), "implementation": (0, 1, 2), "time_major": (False,), "rng_type": ("stateful", "stateless"),
    "renorm": (False,), "fused": (None, True, False), "virtual_batch_size": (None,), "adjustment": (None,),
    "ragged": (False, None), "sparse": (False, None), "optional": (False,), "vectorized": (True, False),
    "force_generator": (True, False), "input_dtype": (None,), "input_dim": (None,), "experimental_autocast": (True,),
}  # fmt: skip
#: Layers with an effect in training only; their own weights are random states.
_TRAINING_ONLY = ("RandomHeight", "RandomWidth")
_MODELS = ("Functional", "Sequential")
_RENAMED = {
    "Model": "Functional",
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
}


class ReverseChannels(layers.Layer):  # type: ignore[misc]  # Keras ships no types
    """Reverse the last axis, as Caffe's models want it: RGB becomes BGR."""

    def call(self, inputs: Any) -> Any:
        """Return `inputs` with the last axis reversed."""
        return keras.ops.flip(inputs, axis=-1)


def legacy_model(config: Config) -> Any:
    """Return a new Keras 3 model with random weights of a config that an older Keras wrote.

    Args:
        config: `model_config` of a `.h5` file, or `config.json` of a `.keras` file.

    Raises:
        ExportError: a layer is not part of Keras 3, runs code of its own, or has a setting without an equivalent.
        ValueError: Keras refuses the rewritten config.
    """
    return keras.saving.deserialize_keras_object(
        _layer(config), custom_objects={"ReverseChannels": ReverseChannels}, safe_mode=True
    )


def _layer(found: Config) -> Config:
    """Return the config of a layer, or of a model and its layers, in the form of Keras 3."""
    kind = str(found["class_name"]).rpartition(">")[2]
    kind = _RENAMED.get(kind, kind)
    inner = found.get("config", {})
    name = found.get("name") or (inner.get("name") if isinstance(inner, dict) else None)
    if kind in ("TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer"):
        return _operation(found)
    if kind == "Lambda":
        raise ExportError(f"the layer '{name}' runs code of its own (Lambda); replace it and save again")
    if kind == "Sequential":
        inner = _sequential(inner)
    elif kind == "Functional":
        inner = _functional(inner)
    elif not isinstance(getattr(layers, kind, None), type) and kind not in _TRAINING_ONLY:
        raise ExportError(
            f"the layer '{name}' is of the class '{kind}', which is not part of Keras 3; build the model without it"
        )
    elif kind in _TRAINING_ONLY or kind.startswith("Random"):
        kind, inner = "Identity", {"name": name}
    else:
        inner = _settings(kind, name, inner)
    module = "keras" if kind in _MODELS else "keras.layers"
    kind = "Model" if kind == "Functional" else kind  # which Keras 3 has no public name for
    inner = {**inner, "name": _name(name)}
    place = {"name": _name(name), "inbound_nodes": _inbound(found["inbound_nodes"])} if "inbound_nodes" in found else {}
    return {"module": module, "class_name": kind, "config": inner, "registered_name": None, **place}


def _sequential(inner: Any) -> Config:
    """Return the config of a Sequential model, whose first layer says the shape of the input."""
    inner = {"name": None, "layers": inner} if isinstance(inner, list) else dict(inner)
    shape = _input_shape(inner["layers"][0]) if inner["layers"] else None
    rewritten = [_layer(layer) for layer in inner["layers"]]
    if shape is not None and rewritten[0]["class_name"] != "InputLayer":
        first = {"module": "keras.layers", "class_name": "InputLayer", "registered_name": None}
        rewritten.insert(0, {**first, "config": {"batch_shape": shape}})
    return {**{key: inner[key] for key in ("name", "trainable") if inner.get(key) is not None}, "layers": rewritten}


def _input_shape(layer: Config) -> Any:
    """Return the shape of the first layer's input, which may be in the first of its own layers."""
    inner = layer["config"]
    if isinstance(inner, dict) and inner.get("batch_input_shape"):
        return inner["batch_input_shape"]
    nested = inner if isinstance(inner, list) else inner.get("layers")
    return _input_shape(nested[0]) if nested else None


def _functional(inner: Config) -> Config:
    """Return the config of a functional model; a model of one input or output takes or gives no list."""
    found = {"name": _name(inner.get("name")), "trainable": inner.get("trainable", True)}
    for key in ("input_layers", "output_layers"):
        ends = [[_name(end[0]), *end[1:]] for end in ([inner[key]] if _is_tensor(inner[key]) else inner[key])]
        found[key] = ends[0] if len(ends) == 1 else ends
    return {**found, "layers": [_layer(layer) for layer in inner["layers"]]}


def _name(name: Any) -> Any:
    """Return the name of a layer without slashes, which Keras 3 forbids."""
    return name.replace("/", "_") if isinstance(name, str) else name


def _inbound(value: Any) -> Any:
    """Return the nodes of a layer, with the names that the layers have now."""
    if isinstance(value, list):
        named = [_name(value[0]), *value[1:3], *map(_inbound, value[3:])] if _is_tensor(value) else None
        return named or [_inbound(one) for one in value]
    return {key: _inbound(one) for key, one in value.items()} if isinstance(value, dict) else value


def _settings(kind: str, name: Any, inner: Config) -> Config:
    """Return the settings of a layer without those that Keras 3 has dropped."""
    found = {key: _value(value) for key, value in inner.items()}
    shape = found.pop("batch_input_shape", None)
    if kind == "InputLayer":
        found = {"batch_shape": shape or found.get("batch_shape"), "dtype": found.get("dtype"), "name": _name(name)}
        return {key: value for key, value in found.items() if value is not None}
    accepted = _accepted(getattr(layers, kind))
    for key in [key for key in found if key not in accepted]:
        if key.endswith(("_initializer", "_regularizer", "_constraint")):
            del found[key]
        elif key in _MEANINGLESS and found.pop(key) not in _MEANINGLESS[key]:
            raise ExportError(f"the layer '{name}' ({kind}) has the setting {key}, which Keras 3 cannot keep")
    axis = found.get("axis")
    if isinstance(axis, list) and len(axis) == 1 and kind in ("BatchNormalization", "Softmax", "Concatenate"):
        found["axis"] = axis[0]
    return found


def _accepted(kind: type) -> set[str]:
    """Return the names of a layer's settings, as far as its class says them."""
    names: set[str] = set()
    for base in kind.__mro__:
        code = getattr(vars(base).get("__init__"), "__wrapped__", vars(base).get("__init__"))
        code = getattr(code, "__code__", None)
        names |= set(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]) if code else set()
    return names


def _value(value: Any) -> Any:
    """Return a setting without the modules of TensorFlow; a precision policy becomes its name."""
    if isinstance(value, list):
        return [_value(one) for one in value]
    if not isinstance(value, dict):
        return value
    if value.get("class_name") in ("Policy", "PolicyV1", "DTypePolicy"):
        return value["config"]["name"]
    if "class_name" in value and isinstance(getattr(layers, str(value["class_name"]), None), type):
        return _layer(value)  # the layer inside a wrapper
    return {key: _value(one) for key, one in value.items() if key != "module" or "class_name" not in value}


# TensorFlow's operations between layers


def _operation(found: Config) -> Config:
    """Return the layer that computes what a TensorFlow operation in a functional model computes."""
    inner, nodes = found["config"], found["inbound_nodes"]
    name, function = found["name"], str(inner.get("function", ""))
    node = nodes[0] if len(nodes) == 1 else []
    while node and isinstance(node[0], list):  # one reader is written with and without a list around it
        node = node[0] if len(node) == 1 else []
    known = _OPERATIONS.get(function)
    replaced = known(node[3] if len(node) > 3 else {}) if known and node and node[0] != "_CONSTANT_VALUE" else None
    if replaced is None:
        raise ExportError(
            f"the step '{name}' is the TensorFlow function '{function or found['class_name']}', which Keras 3 cannot "
            "open; build the model again with layers of Keras 3 and load its weights"
        )
    kind, settings, others = replaced
    module, registered = ("keras.layers", None) if kind != "ReverseChannels" else (None, "ReverseChannels")
    inbound = _inbound([[[*node[:3], {}], *([*other[:3], {}] for other in others)]])
    return {
        "module": module, "class_name": kind, "config": {"name": _name(name), **settings},
        "registered_name": registered, "name": _name(name), "inbound_nodes": inbound,
    }  # fmt: skip


Replaced = tuple[str, Config, list[list[Any]]]


def _is_tensor(value: Any) -> bool:
    return isinstance(value, list) and len(value) >= 3 and isinstance(value[0], str)


def _arithmetic(
    layer: str | None, scale: Callable[[float], float] | None, offset: Callable[[float], float] | None
) -> Callable[[Config], Replaced | None]:
    """Return what replaces arithmetic with a constant (a Rescaling), or with another tensor (`layer`)."""

    def replace(arguments: Config) -> Replaced | None:
        value: Any = arguments.get("y", arguments.get("bias"))
        if _is_tensor(value):
            return None if layer is None else (layer, {}, [list(value)])
        if not isinstance(value, int | float | list):
            return None

        def each(function: Callable[[float], float]) -> Any:
            return [function(one) for one in value] if isinstance(value, list) else function(value)

        return "Rescaling", {"scale": each(scale) if scale else 1.0, "offset": each(offset) if offset else 0.0}, []

    return replace


def _activation(name: str) -> Callable[[Config], Replaced | None]:
    return lambda arguments: ("Activation", {"activation": name}, [])


def _mean(arguments: Config) -> Replaced | None:
    axis = arguments.get("axis")
    keep = bool(arguments.get("keepdims"))
    return ("GlobalAveragePooling2D", {"keepdims": keep}, []) if axis in ([1, 2], [2, 1]) else None


def _slice(arguments: Config) -> Replaced | None:
    """Return what replaces `x[..., ::-1]`, the only slice that models of images have between their layers."""
    steps = arguments.get("slice_spec") or []
    plain = {"start": None, "stop": None, "step": None}
    last = {"start": None, "stop": None, "step": -1}
    before = [step for step in steps[:-1] if step not in (plain, {"class_name": "__ellipsis__"})]
    return ("ReverseChannels", {}, []) if steps and steps[-1] == last and not before else None


_OPERATIONS: dict[str, Callable[[Config], Replaced | None]] = {
    "math.truediv": _arithmetic(None, lambda y: 1 / y, None),
    "math.divide": _arithmetic(None, lambda y: 1 / y, None),
    "math.multiply": _arithmetic("Multiply", lambda y: y, None),
    "math.subtract": _arithmetic("Subtract", None, lambda y: -y),
    "math.add": _arithmetic("Add", None, lambda y: y),
    "__operators__.add": _arithmetic("Add", None, lambda y: y),
    "nn.bias_add": _arithmetic(None, None, lambda y: y),
    "__operators__.getitem": _slice,
    "math.reduce_mean": _mean,
    "cast": lambda arguments: ("Identity", {}, []) if arguments.get("dtype") in ("float32", None) else None,
    "identity": lambda arguments: ("Identity", {}, []),
    "nn.relu": _activation("relu"),
    "nn.relu6": _activation("relu6"),
    "nn.softmax": _activation("softmax"),
    "nn.silu": _activation("silu"),
    "math.sigmoid": _activation("sigmoid"),
    "math.tanh": _activation("tanh"),
}
