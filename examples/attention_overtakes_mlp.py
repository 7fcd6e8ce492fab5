"""From which prompt length on does the decoder spend more on attention than on its MLPs?

Both are sums of formulas of the compiled model. Attention grows with the square of the prompt and the MLPs with its
length, so there is one length at which they are equal: it is solved for, exactly.

Run it with: python examples/attention_overtakes_mlp.py [picture.png]
"""

import argparse
from math import floor

import sympy
from matplotlib.figure import Figure

import modelmeter
from modelmeter import evaluate, symbol


def main() -> None:
    """Print the crossing as a formula and as a number, and draw the two costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", nargs="?", default="attention_overtakes_mlp.png", help="where to draw them")
    picture = parser.parse_args().picture
    # Start from the module graph that the evaluators were compiled from: tracing it again would take torch.
    model = modelmeter.load("deepseek-ocr")

    # The operators of a prefill: the two products of attention, and everything inside the MLPs.
    rows = model.operators("prefill")
    attention = sum(r.cost.tensor_core_flops for r in rows if r.operator == "scaled_dot_product_attention")
    mlps = sum(r.cost.tensor_core_flops for r in rows if ".mlp" in r.path)

    seq_len = symbol("seq_len")
    (crossing,) = sympy.solve(sympy.Eq(attention, mlps), seq_len)
    exact = evaluate(crossing, model.defaults)
    print(f"They cost the same at seq_len = {sympy.factor(crossing)}")
    print(f"For DeepSeek-OCR that is {exact}: attention costs more from {floor(exact) + 1} tokens on.")

    axes = (figure := Figure()).subplots()
    lengths = range(64, 2 * int(exact), 64)
    for label, formula in (("attention", attention), ("MLPs", mlps)):
        costs = [evaluate(formula, {**model.defaults, "seq_len": length}) for length in lengths]
        axes.plot(lengths, [cost / 1e12 for cost in costs], label=label)
    axes.axvline(float(exact), linestyle=":", color="grey")
    axes.set(xlabel="seq_len in tokens", ylabel="TFLOP of a prefill")
    axes.legend()
    try:
        figure.savefig(picture)
    except (OSError, ValueError) as error:
        parser.error(f"{picture} cannot be drawn: {error}")
    print(f"Drawn in {picture}.")


if __name__ == "__main__":
    main()
