"""From which prompt length on does the decoder spend more on attention than on its MLPs?

Both are sums of formulas of the compiled model. The answer is derived from them, exactly, with a certificate.

Run it with: python examples/attention_overtakes_mlp.py [picture.png]
"""

import argparse

from matplotlib.figure import Figure

import modelmeter
from modelmeter import evaluate, scaling


def main() -> None:
    """Print the crossing as a formula and as a number, and draw the two costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", nargs="?", default="attention_overtakes_mlp.png", help="where to draw them")
    picture = parser.parse_args().picture

    prefill = scaling.stage(modelmeter.load("deepseek-ocr"), "prefill")
    attention = prefill.operator("scaled_dot_product_attention").tensor_core_flops
    mlps = prefill.modules("*.mlp").tensor_core_flops
    answer = scaling.crossover(attention, mlps, over="seq_len")
    answer.check()  # replays the certificate

    print(f"They cost the same at seq_len = {answer.threshold} ({answer.known}).")
    print(f"Attention costs more from {answer.value} tokens on.")

    axes = (figure := Figure()).subplots()
    lengths = range(64, 2 * answer.value, 64)
    for label, cost in (("attention", attention), ("MLPs", mlps)):
        formula = cost.settle("seq_len").formula
        axes.plot(lengths, [evaluate(formula, {"seq_len": each}) / 1e12 for each in lengths], label=label)
    axes.axvline(answer.value, linestyle=":", color="grey")
    axes.set(xlabel="seq_len in tokens", ylabel="TFLOP of a prefill")
    axes.legend()
    try:
        figure.savefig(picture)
    except (OSError, ValueError) as error:
        parser.error(f"{picture} cannot be drawn: {error}")
    print(f"Drawn in {picture}.")


if __name__ == "__main__":
    main()
