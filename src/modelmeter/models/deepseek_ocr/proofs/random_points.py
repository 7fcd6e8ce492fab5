"""Backwards and training steps at random sizes: of the architecture, and of the workload.

The costs of a backward are polynomials where no rounding is. A wrong one of degree d is right at a point whose sizes
are drawn from n values with a probability of at most d / n (Schwartz and Zippel), and at all of them with the product.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from attrs import asdict, evolve

from modelmeter.models.deepseek_ocr.architecture import DeepSeekOCRArchitecture
from modelmeter.models.deepseek_ocr.proofs.points import PROVED, make_training_points
from modelmeter.models.deepseek_ocr.trace_reference import TraceWorkload, trace_reference
from modelmeter.models.deepseek_ocr.vision_tokens import image_tokens
from modelmeter.verify.model_formulas import build_formulas
from modelmeter.verify.proof import Progress, Verdict
from modelmeter.verify.training_points import prove_training


def draw_architecture(architecture: DeepSeekOCRArchitecture, random: Random) -> DeepSeekOCRArchitecture:
    """Return ``architecture`` with other widths, heads, windows and trained grids; depths and patch size stay.

    Its tokens take all of its experts, so that their shares are whole.
    """

    def draw(most: int = 999) -> int:
        return random.randint(2, most)

    groups, heads, sam_heads, clip_heads, experts = draw(9), draw(9), draw(30), draw(30), draw(5)
    return evolve(
        architecture,
        hidden_size=2 * draw(99) * groups * heads,
        num_attention_heads=groups * heads,
        num_key_value_heads=heads,
        intermediate_size=draw(),
        moe_intermediate_size=draw(),
        n_routed_experts=experts,
        num_experts_per_tok=experts,
        n_shared_experts=draw(9),
        vocab_size=draw(9999),
        sam_hidden_size=sam_heads * draw(99),
        sam_num_attention_heads=sam_heads,
        sam_intermediate_size=draw(),
        sam_window_size=draw(20),
        sam_image_size=architecture.sam_patch_size * draw(99),
        sam_neck_channels=draw(),
        sam_downsample_channels=draw(),
        clip_hidden_size=clip_heads * draw(99),
        clip_num_attention_heads=clip_heads,
        clip_intermediate_size=draw(),
        clip_image_size=architecture.clip_patch_size * draw(30),
    )


def draw_workload(patch_size: int, random: Random) -> TraceWorkload:
    """Return a workload without tiles, so that every layer of the towers is called once."""
    base_size = random.randint(patch_size, 99 * patch_size)
    seq_len = int(image_tokens(base_size, 1, 0, 0, patch_size)) + random.randint(1, 9999)
    pages = random.randint(1, 99)
    return TraceWorkload(
        batch_size=pages * random.randint(1, 9), vision_batch_size=pages, base_size=base_size, image_size=1,
        num_width_tiles=0, num_height_tiles=0, seq_len=seq_len, logits_tokens=random.randint(1, seq_len),
    )  # fmt: skip


def prove_at_random(architecture: DeepSeekOCRArchitecture, seed: int, progress: Progress) -> Iterator[Verdict]:
    """Yield the verdicts of :func:`~modelmeter.verify.training_points.prove_training` at one random point."""
    random = Random(seed)
    drawn = draw_architecture(architecture, random)
    workload = draw_workload(drawn.sam_patch_size, random)
    sizes = {**asdict(workload), **drawn.dimension_values()}
    formulas = build_formulas(trace_reference(drawn), PROVED)
    for verdict in prove_training(formulas, make_training_points(drawn, [workload]), progress):
        yield evolve(
            verdict,
            kind="polynomial identity test",
            domain="; ".join(f"{name} = {size}" for name, size in sizes.items()),
            dimensions=tuple(sizes),
        )
