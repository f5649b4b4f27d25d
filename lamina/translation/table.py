"""What the tables of the generations are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Settings = Mapping[str, Any]  # of the process: "backend", "image_data_format"


@dataclass(frozen=True)
class Class:
    """A class (or function) of one generation, told in the terms of the modern one."""

    modern: str  # today's class, or the one that computes as that generation did, by its name
    signature: str = ""  # its arguments with their defaults, as Python writes them
    part: str = ""  # of its home: the submodule it lives in
    aliases: str = ""  # its other names
    base: str = ""  # the class whose arguments it takes by name besides
    renamed: Mapping[str, str] = field(default_factory=dict)  # own renames; "" drops an argument, but keeps it in mind
    fixed: Mapping[str, Any] = field(default_factory=dict)  # modern arguments that choose this generation's arithmetic
    kept: str = ""  # arguments whose given value stands in the config, whatever became of them
    unsaved: str = ""  # arguments that do not stand in the config
    learned: str = ""  # the argument that building fills with the size of the input's last axis
    adapt: str = ""  # a function of `conversions` for what names and values cannot say
    write: str = ""  # one for the config
    weights: str = ""  # a layout of `weights`, where it is not the modern one
    weight_names: str = ""  # the generation's names, where they are not the modern ones
    makes: str = ""  # functions: the class of what they return
    closed: bool = False  # layers: nothing is taken by name beside its signature


@dataclass(frozen=True)
class Value:
    """How the values of an argument change: to the modern ones and back."""

    modern: Callable[[Any], Any]
    old: Callable[[Any], Any]


def same(value: Any) -> Any:
    return value


@dataclass(frozen=True, eq=False)
class Generation:
    """All that is known of one generation. A home is a module below its root, such as `layers` or `optimizers`."""

    name: str
    version: str
    objects: Mapping[str, Mapping[str, Class]]  # by home, by name
    renamed: Mapping[str, str]  # arguments of any class
    joined: Mapping[tuple[str, ...], str]  # several arguments that are one now
    values: Mapping[str, Value]  # by modern argument, or by the last word of its name
    modules: Mapping[str, str]  # where homes also are: alias -> home
    holds: Mapping[str, str]  # what modules hold beside: names by module
    methods: Mapping[str, str]  # the models' methods: their arguments, as `signature`s
    method_words: Mapping[str, str]  # what these are called now; "" drops one
    callbacks: Mapping[str, str]  # what those take that are not today's, in the order of the time
    scalars: bool = False  # one size is written as a number, not as a tuple of one
    functions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # second names by home; "": it has none
    older: Generation | None = None  # whose words calls may be in as well
    writes_dtype: bool = True
    sums_activity: bool = True  # the penalty of an activity is not divided by the size of the batch
    writes_modules: bool = False  # nested configs name the module and the shape they were built for
    named_configs: bool = False  # as in Keras 1: a config has its class as "name", Sequential's is a list of layers
    masks_may_end: bool = False  # a layer that knows no masks lets them end, instead of refusing them
    short_accuracy: bool = False  # accuracy is called "acc" in logs
    shares_modern: bool = False  # what is in no table is today's
    draws_by_layout: bool = False  # first values follow the fans of the old layout of the weights
    seeded_by_numpy: bool = False  # NumPy's generator seeds all that is drawn
    calls_models_freely: bool = False  # on symbolic inputs of any rank that the layers take
    lists_weights: bool = False  # an own layer's variables are weights where its lists hold them
    cuts_to_first: bool = False  # `predict` takes of every input as many samples as the first one has
    resets_to_states: bool = True  # `reset_states` takes what to start from
    first_name: str = (
        "snake_1"  # how the first layer without a name is called: "dense_1", "locallyconnected1d_1", "dense"
    )
    extras: Mapping[str, str] = field(default_factory=dict)  # parts that also hold the names of others
    unread: Mapping[str, str] = field(default_factory=dict)  # words in configs of files that say nothing, by home

    def read(self, home: str, config: Mapping[str, Any]) -> dict[str, Any]:
        """What an object's config in a file says."""
        return {key: value for key, value in config.items() if key not in self.unread.get(home, "").split()}

    def find(self, name: str, home: str = "layers") -> Class | None:
        """The entry of a class, by any of its names."""
        told = self.canonical(name, home)
        return None if told is None else self.objects[home][told]

    def canonical(self, name: str, home: str = "layers") -> str | None:
        """The class' own name; None where the generation has none of that name."""
        table = self.objects[home]
        if name in table:
            return name
        return next((key for key, entry in table.items() if name in entry.aliases.split()), None)

    def has(self, path: str, name: str = "") -> bool:
        """Whether the tables have a name in a module, of any path; without a name, whether they have the module."""
        home = self.modules.get(path, path)
        whole = home in self.objects
        if not name:
            return whole or home in self.holds
        own, part = (home, "") if whole else home.partition(".")[::2]
        entry = self.find(name, own) if own in self.objects else None
        return name in self.holds.get(home, "").split() or (entry is not None and (not part or entry.part == part))
