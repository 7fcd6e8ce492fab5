"""How the tests of this project check the formulas of DeepSeek-OCR, for its pages."""

from __future__ import annotations

from typing import Final

from modelmeter.model.presentation import Checks

CHECKS: Final = Checks(
    layers="``tests/models/deepseek_ocr/test_layers.py`` runs the torch module on the meta device at several sizes and "
    "counts, independently of the formulas: matrix products with ``torch.utils.flop_counter.FlopCounterMode``, other "
    "arithmetic as the ATen operators that PyTorch dispatches, weighed by the published table, and the elements that "
    "every operator reads and writes. All six metrics must equal that count with difference 0.",
    training="``tests/models/deepseek_ocr/test_training_step.py`` runs the reference model and its backward on the "
    "meta device, for whole pages of two architectures, and counts independently of the formulas: matrix products with "
    "``torch.utils.flop_counter.FlopCounterMode``, other arithmetic as the ATen operators that autograd dispatches, "
    "weighed by the published table, and the elements that every operator and its backward read and write. All six "
    "metrics must equal that count with difference 0. ``test_layers.py`` beside it does so for every layer class. "
    "There the experts take even shares, so the reads of their weights, and the writes of their gradients, are "
    "compared as the upper bound.",
    peaks="The peak was compared with a walk over the live storages of the reference model on the meta device, by "
    "``tests/verify/test_stage_peaks.py`` for whole stages and by ``tests/models/deepseek_ocr/test_replays.py`` for "
    "every layer class: difference 0. That no other operator can be the peak is proved by the signs of coefficients.",
)
