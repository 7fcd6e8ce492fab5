"""The kinds of operators, and the operators that a traced model consists of."""

from __future__ import annotations

from attrs import field, frozen

from llm_perf_opt.data import rules
from llm_perf_opt.errors import RecordError

OTHER = "other"
"""The category of a class that no category names."""


@frozen(kw_only=True)
class OperatorCategory:
    """One kind of operators.

    Parameters
    ----------
    category_id, display_name, description
        The id that breakdowns use, the name that people read, and what the kind does.
    match_classes
        The module classes of this kind, without their packages; in reports the ATen operators of this kind, too.

    Raises
    ------
    RecordError
        If a field breaks its rule.
    """

    category_id: str = field(validator=rules.IDENTIFIER)
    display_name: str = field(validator=rules.IDENTIFIER)
    description: str = field(validator=rules.TEXT)
    match_classes: tuple[str, ...] = field(
        converter=rules.as_tuple, validator=rules.sequence(rules.IDENTIFIER, distinct=True)
    )


OPERATOR_CATEGORIES: tuple[OperatorCategory, ...] = tuple(
    OperatorCategory(
        category_id=category_id, display_name=display_name, description=description, match_classes=classes.split()
    )
    for category_id, display_name, description, classes in (
        ("linear", "Linear", "Products of a matrix with every token.", "Linear Conv1D"),
        (
            "convolution",
            "Convolution",
            "Products of a kernel with every patch.",
            "Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d",
        ),
        (
            "attention",
            "Attention",
            "Scores of queries with keys, their softmax, and the sum of values, which is one fused operator; and the "
            "products that a bias of the scores takes.",
            "Attention NoTPAttention LlamaAttention LlamaSdpaAttention LlamaFlashAttention2 DeepseekV2Attention "
            "DeepseekV2FlashAttention2 MultiheadAttention",
        ),
        (
            "normalization",
            "Normalization",
            "Every token scaled to a common size.",
            "LayerNorm LayerNorm2d RMSNorm DeepseekV2RMSNorm LlamaRMSNorm GroupNorm "
            "BatchNorm1d BatchNorm2d BatchNorm3d",
        ),
        (
            "activation",
            "Activation",
            "A function of every element.",
            "GELU SiLU ReLU Sigmoid Tanh Softmax GELUActivation NewGELUActivation QuickGELUActivation SiLUActivation",
        ),
        ("embedding", "Embedding", "Rows taken from a table.", "Embedding CLIPVisionEmbeddings"),
        (
            "positional_encoding",
            "Positional encoding",
            "Angles of positions.",
            "LlamaRotaryEmbedding LlamaLinearScalingRotaryEmbedding LlamaDynamicNTKScalingRotaryEmbedding "
            "DeepseekV2RotaryEmbedding",
        ),
        (
            "moe_routing",
            "Expert routing",
            "The choice of experts for every token, and the weighted sum of their results.",
            "MoEGate DeepseekV2MoE",
        ),
        (
            "composite",
            "Composite",
            "Modules that call other modules; what counts as theirs is the work between the calls, such as sums.",
            "DeepseekOCRForCausalLM DeepseekOCRModel DeepseekV2Model DeepseekV2DecoderLayer DeepseekV2MLP "
            "ImageEncoderViT PatchEmbed Block MLPBlock VitModel NoTPTransformer NoTPTransformerBlock NoTPFeedForward "
            "MlpProjector Sequential ModuleList ModuleDict",
        ),
        (
            "pass_through",
            "Pass-through",
            "Modules that hand their input on, in inference.",
            "Identity Dropout Dropout1d Dropout2d Dropout3d DropPath Flatten Unflatten",
        ),
        (OTHER, "Other", "Classes that no category names.", ""),
    )
)
"""The categories, each class in at most one."""

_CATEGORY_OF_CLASS = {name: category.category_id for category in OPERATOR_CATEGORIES for name in category.match_classes}


def category_of(class_name: str) -> str:
    """Return the id of the category of a module class (its name without package): ``other`` if none names it."""
    return _CATEGORY_OF_CLASS.get(class_name, OTHER)


@frozen(kw_only=True)
class OperatorSpec:
    """One module class of a traced model.

    Parameters
    ----------
    class_name, class_name_qualified
        The name of the class, without and with its package.
    is_pytorch_builtin, is_custom
        Whether PyTorch brings the class, and whether anybody else does; exactly one holds.
    children_classes
        The qualified names of the classes that it holds.
    default_category_id
        The category that it counts in, of :data:`OPERATOR_CATEGORIES`.

    Raises
    ------
    RecordError
        If a field breaks its rule, or the two flags do not exclude each other.
    """

    class_name: str = field(validator=rules.IDENTIFIER)
    class_name_qualified: str = field(validator=rules.IDENTIFIER)
    is_pytorch_builtin: bool = field(validator=rules.FLAG)
    is_custom: bool = field(validator=rules.FLAG)
    children_classes: tuple[str, ...] = field(
        converter=rules.as_tuple, validator=rules.sequence(rules.IDENTIFIER, distinct=True)
    )
    default_category_id: str = field(validator=rules.IDENTIFIER)

    def __attrs_post_init__(self) -> None:
        if self.is_custom == self.is_pytorch_builtin:
            raise RecordError(
                "a class is either PyTorch's or custom", place="is_custom", expected=not self.is_pytorch_builtin,
                found=self.is_custom,
            )  # fmt: skip


@frozen(kw_only=True)
class TargetOperatorList:
    """The module classes that a TorchInfo run met.

    Parameters
    ----------
    snapshot_id
        The time or the content id of the run.
    source_artifact_dir, layers_md_path, layers_json_path, stages_json_path
        Absolute paths of the folder of the run and of its files; only the layers' JSON is sure to exist.
    operators
        The classes, in the order of the file, no qualified name twice.

    Raises
    ------
    RecordError
        If a field breaks its rule.
    """

    snapshot_id: str = field(validator=rules.IDENTIFIER)
    source_artifact_dir: str = field(validator=rules.ABSOLUTE_PATH)
    layers_md_path: str = field(validator=rules.ABSOLUTE_PATH)
    layers_json_path: str = field(validator=rules.ABSOLUTE_PATH)
    stages_json_path: str = field(validator=rules.ABSOLUTE_PATH)
    operators: tuple[OperatorSpec, ...] = field(
        converter=rules.as_tuple, validator=rules.sequence(rules.record(OperatorSpec), key="class_name_qualified")
    )

    @property
    def uncategorized(self) -> tuple[OperatorSpec, ...]:
        """The operators that no category names: they count in ``other``."""
        return tuple(operator for operator in self.operators if operator.default_category_id == OTHER)
