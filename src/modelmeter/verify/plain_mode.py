"""A dispatch mode that is called as it stands."""

from __future__ import annotations

from torch.utils._python_dispatch import TorchDispatchMode


class PlainDispatchMode(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch leaves dispatch modes untyped
    """Is called without a shield against torch's compiler, which nothing here runs.

    The shield takes as long at every operator as a short method does.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # the same

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)  # type: ignore[no-untyped-call]  # the same

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False
