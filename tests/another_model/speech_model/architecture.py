"""The sizes of one speech model."""

from __future__ import annotations

from typing import ClassVar

from attrs import asdict, frozen

from modelmeter.graph.module_graph import ModuleGraph
from modelmeter.support.errors import ArchitectureError
from speech_model.sizes import DIMENSIONS


@frozen(kw_only=True)
class SpeechArchitecture:
    """The sizes, by default those of the published model."""

    model: ClassVar[str] = "tiny-speech"

    num_mel_bins: int = 23
    stack_size: int = 5
    hidden_size: int = 67
    dictionary_size: int = 131

    def __attrs_post_init__(self) -> None:
        for name, size in asdict(self).items():
            DIMENSIONS.describe(name).check(size, ArchitectureError)

    def dimension_values(self) -> dict[str, int]:
        """Return every size by name."""
        return asdict(self)


def read_architecture(graph: ModuleGraph) -> SpeechArchitecture:
    """Return the sizes that a module graph was traced from."""
    if graph.architecture.keys() != SpeechArchitecture().dimension_values().keys():
        raise ArchitectureError("this is not a graph of the speech model", found=sorted(graph.architecture))
    return SpeechArchitecture(**graph.architecture)
