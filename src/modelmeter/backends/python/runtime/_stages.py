"""The functions of a staircase: they stand in for the stages of a model, which a package has under this name.

``bricks`` lays stairs of ``steps`` steps on every cell of a grid, ``gravel`` fills what is below the last step.
"""

from ._runtime import Bits, Cost, check_again, check_routing, check_size, contradiction, routed_reads, too_large


def bricks(
    *,
    num_columns: int = 2,
    num_rows: int = 3,
    landings: int | None = None,
    steps: int | None = None,
    kept_steps: int | None = None,
    weight_bits: Bits = 16,
    expert_routing: str = "uniform",
) -> Cost:
    """Return the cost of the bricks, of which ``kept_steps`` are kept."""
    if (
        not (
            int is type(num_columns) is type(num_rows) is type(weight_bits)
            and num_columns >= 0
            and num_rows >= 0
            and weight_bits > 0
            and (landings is None or (type(landings) is int and landings >= 0))
        )
        and (found := check_again(bricks, locals(), num_columns=0, num_rows=0, landings=0)) is not None
    ):
        return found
    if expert_routing != "uniform":
        check_routing(expert_routing)
    if steps is None:
        if landings is None:
            landings = 6
        steps = 1 + landings
    else:
        if not (type(steps) is int and steps > 0):
            steps = check_size("steps", steps, 1)
        if landings is not None and steps != 1 + landings:
            raise contradiction("steps", steps, "1 + landings", 1 + landings)
    if kept_steps is None:
        kept_steps = steps
    elif not (type(kept_steps) is int and kept_steps > 0):
        kept_steps = check_size("kept_steps", kept_steps, 1)
    if kept_steps > steps:
        raise too_large("kept_steps", kept_steps, "steps", steps)
    x1 = num_columns * num_rows
    x2 = x1 * (steps * (steps + 1) // 2)
    x3 = routed_reads(11, 4, steps, 17, expert_routing)
    tensor_core_flops = 2 * x2
    cuda_core_flops = x2 if num_columns != num_rows else 0
    io_bytes = -(-(weight_bits * x2) // 8)
    weight_bytes = -(-(weight_bits * x3) // 8)
    activation_bytes = x1 * kept_steps
    return Cost((tensor_core_flops, cuda_core_flops, io_bytes, weight_bytes, activation_bytes, 0))


def gravel(*, steps: int = 7) -> Cost:
    """Return the cost of the gravel."""
    if not (int is type(steps) and steps > 0) and (found := check_again(gravel, locals())) is not None:
        return found
    cuda_core_flops = steps * steps
    io_bytes = 3 * steps
    activation_bytes = -(-steps // 4)
    return Cost((0, cuda_core_flops, io_bytes, 0, activation_bytes, 0))


def bricks_peak_activation_bytes(*, num_columns: int = 2, num_rows: int = 3) -> int:
    """Return the longer side of the grid."""
    if (
        not (int is type(num_columns) is type(num_rows) and num_columns >= 0 and num_rows >= 0)
        and (found := check_again(bricks_peak_activation_bytes, locals(), num_columns=0, num_rows=0)) is not None
    ):
        return found
    return max(num_columns, num_rows)
