"""The module classes of a traced model, from the folder that a TorchInfo run leaves."""

from __future__ import annotations

import os

from attrs import field, frozen

from llm_perf_opt.data import rules
from llm_perf_opt.data.serialization import read_record
from llm_perf_opt.data.target_operators import OperatorSpec, TargetOperatorList, category_of
from llm_perf_opt.errors import RecordError

LAYERS_JSON = "torchinfo-unique-layers.json"
LAYERS_MD = "torchinfo-unique-layers.md"
STAGES_JSON = "torchinfo-stages.json"

_NAMES = rules.sequence(rules.TEXT)
_CLASSES = rules.sequence(rules.IDENTIFIER, distinct=True)


@frozen(kw_only=True)
class UniqueLayer:
    """One module class in ``torchinfo-unique-layers.json``; the field names are the keys of the file."""

    class_name: str = field(validator=rules.IDENTIFIER)
    class_name_qualified: str = field(validator=rules.IDENTIFIER)
    var_name: tuple[str, ...] = field(validator=_NAMES)
    instance_name: tuple[str, ...] = field(validator=_NAMES)
    filepaths: tuple[str, ...] = field(validator=_NAMES)
    is_torch_builtin: bool = field(validator=rules.FLAG)
    count: int = field(validator=rules.whole_number(1))
    parents: tuple[str, ...] = field(validator=_CLASSES)
    children: tuple[str, ...] = field(validator=_CLASSES)


@frozen(kw_only=True)
class UniqueLayers:
    """The content of ``torchinfo-unique-layers.json``; the field names are the keys of the file.

    Raises
    ------
    RecordError
        If a field breaks its rule, a class appears twice, or classes are missing.
    """

    generated_at: str = field(validator=rules.IDENTIFIER)
    model_path: str = field(validator=rules.TEXT)
    device: str = field(validator=rules.TEXT)
    base_size: int = field(validator=rules.whole_number(1))
    image_size: int = field(validator=rules.whole_number(1))
    seq_len: int = field(validator=rules.whole_number(1))
    crop_mode: bool = field(validator=rules.FLAG)
    depth: int = field(validator=rules.whole_number())
    total_params: int = field(validator=rules.whole_number())
    total_macs: int = field(validator=rules.whole_number())
    num_unique_layers: int = field(validator=rules.whole_number(1))
    layers: tuple[UniqueLayer, ...] = field(
        validator=rules.sequence(rules.record(UniqueLayer), key="class_name_qualified")
    )

    def __attrs_post_init__(self) -> None:
        if len(self.layers) != self.num_unique_layers:
            raise RecordError(
                "not the number of layers in the file",
                place="num_unique_layers",
                expected=len(self.layers),
                found=self.num_unique_layers,
            )


def load_target_operator_list(artifact_dir: str | os.PathLike[str]) -> TargetOperatorList:
    """Return the module classes that a TorchInfo run met, each with its category.

    Parameters
    ----------
    artifact_dir
        A folder with ``torchinfo-unique-layers.json``, from ``modelmeter trace`` or from elsewhere. Keys that we
        do not know are skipped; a class that no category names counts in ``other``.

    Raises
    ------
    RecordError
        If the folder or the file is missing, or the file is broken, lacks a key, holds a wrong type or a class
        twice; the message names the file and the place in it.
    """
    folder = os.path.abspath(artifact_dir)
    if not os.path.isdir(folder):
        raise RecordError("no such folder", place=folder, remedy="modelmeter trace --out DIR writes one")
    layers_json = os.path.join(folder, LAYERS_JSON)
    snapshot = read_record(layers_json, UniqueLayers, extra_keys=True)
    return TargetOperatorList(
        snapshot_id=snapshot.generated_at,
        source_artifact_dir=folder,
        layers_md_path=os.path.join(folder, LAYERS_MD),
        layers_json_path=layers_json,
        stages_json_path=os.path.join(folder, STAGES_JSON),
        operators=tuple(_operator(layer) for layer in snapshot.layers),
    )


def _operator(layer: UniqueLayer) -> OperatorSpec:
    return OperatorSpec(
        class_name=layer.class_name,
        class_name_qualified=layer.class_name_qualified,
        is_pytorch_builtin=layer.is_torch_builtin,
        is_custom=not layer.is_torch_builtin,
        children_classes=layer.children,
        default_category_id=category_of(layer.class_name),
    )
