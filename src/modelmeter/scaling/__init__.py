"""Questions asked of formulas, answered in closed form, each answer with a certificate that is replayed.

Quantities are taken from a compiled model, and combined: sums, differences, quotients, products by numbers.

>>> import modelmeter
>>> from modelmeter import scaling
>>> model = modelmeter.load("deepseek-ocr")
>>> prefill, request = scaling.stage(model, "prefill"), scaling.stage(model, "request")

All sizes but the one that is asked over have their defaults, or what ``at`` says; what follows from others follows.

>>> attention = prefill.operator("scaled_dot_product_attention").tensor_core_flops
>>> answer = scaling.crossover(attention, prefill.modules("*.mlp").tensor_core_flops, over="seq_len")
>>> answer.value, answer.threshold, answer.known
(10742, 32224/3, 'proved')
>>> answer.check()  # replays the certificate, or raises CertificateError

>>> memory = request.weight_bytes + request.kv_cache_bytes + request.peak_activation_bytes
>>> scaling.largest("batch_size", of=memory.at(max_new_tokens=8192), under=80 * 2**30).value
62

>>> leading = scaling.order(prefill.tensor_core_flops, "seq_len")
>>> leading.formula, leading.from_size  # within a tenth of it from there on
(61440*seq_len**2, 186881)

More is asked the same way, of any compiled model. A statement has a formula, a value, a domain, a sentence, how it is
known, and certificates; ``to_json`` has all of it, and ``certificate_from_json`` reads certificates back.

>>> vision, decode = scaling.stage(model, "vision"), scaling.stage(model, "decode")
>>> scaling.limit(decode.tensor_core_flops / decode.io_bytes, "batch_size").side  # never more than what it tends to
'below'
>>> scaling.elasticity(prefill.tensor_core_flops, "seq_len").formula
(80*seq_len + 747521)/(40*seq_len + 747521)
>>> [step.modulus for step in scaling.steps(vision.tensor_core_flops, "base_size").steps][:2]
[64, 16]
>>> costs = {"vision": vision.tensor_core_flops, "decode": decode.tensor_core_flops}
>>> [(each.winner, each.first) for each in scaling.regimes(costs, "max_new_tokens").regimes]
[('vision', 1), ('decode', 2693)]
>>> scaling.monotone(request.io_bytes, "batch_size", free=("num_width_tiles", "max_new_tokens")).sentence
'request.io_bytes never falls as batch_size grows.'
>>> scaling.sign(prefill.io_bytes - decode.io_bytes, "batch_size").sentence
'prefill.io_bytes - decode.io_bytes is less than 0 on the whole domain.'
>>> scaling.difference(prefill.tensor_core_flops, prefill.tensor_core_flops.at(logits_tokens=1), "seq_len").formula
330956800*seq_len - 330956800
>>> scaling.rule_of_thumb(2 * prefill.weight_bytes, prefill.io_bytes, "seq_len").highest_at
{'seq_len': 1}
>>> tiles = scaling.size(model, "num_width_tiles")
>>> scaling.optimum(vision.tensor_core_flops / tiles, "num_width_tiles", bounds={"num_width_tiles": (1, 9)}).value
9

A card's rates, memory and price are symbols of their own, and so may other sizes be.

>>> linear = prefill.modules("*.q_proj")
>>> ratio = scaling.RATIO.at(ratio=295)
>>> scaling.crossover(linear.tensor_core_flops, ratio * linear.io_bytes, over="seq_len").value
548
>>> scaling.largest("batch_size", of=memory, under=scaling.MEMORY_BYTES, free=("memory_bytes",)).formula
floor(memory_bytes/829488264 - 834026560/103686033)
"""

from modelmeter.scaling.card import (
    MEMORY_BANDWIDTH,
    MEMORY_BYTES,
    PEAK_FLOPS,
    PRICE,
    RATIO,
    intensity,
    roofline,
    roofline_bytes,
    roofline_of,
)
from modelmeter.scaling.certificate import Certificate, SignTable
from modelmeter.scaling.certificates import certificate_from_json
from modelmeter.scaling.crossover import Crossover, crossover
from modelmeter.scaling.difference import Difference, DifferenceTerm, difference
from modelmeter.scaling.domain import Domain, Range
from modelmeter.scaling.elasticity import Elasticity, elasticity
from modelmeter.scaling.inverse import Largest, Smallest, largest, smallest
from modelmeter.scaling.language import Comparison, read_comparison
from modelmeter.scaling.layer_source import LayerSource, layer
from modelmeter.scaling.limit import Limit, limit
from modelmeter.scaling.monotony import Monotone, Sign, monotone, sign
from modelmeter.scaling.optimum import Optimum, optimum
from modelmeter.scaling.order import Order, order
from modelmeter.scaling.quantity import Quantity, largest_of, smallest_of
from modelmeter.scaling.regime_map import RegimeMap, RegimeRows, regime_map
from modelmeter.scaling.regimes import Regime, Regimes, regimes
from modelmeter.scaling.rule_of_thumb import RuleOfThumb, rule_of_thumb
from modelmeter.scaling.server_source import ServerStep, server_step
from modelmeter.scaling.solve import solve
from modelmeter.scaling.sources import Source, size, stage
from modelmeter.scaling.statement import Interval, Statement
from modelmeter.scaling.steps import Step, Steps, steps

__all__ = [
    "MEMORY_BANDWIDTH",
    "MEMORY_BYTES",
    "PEAK_FLOPS",
    "PRICE",
    "RATIO",
    "Certificate",
    "Comparison",
    "Crossover",
    "Difference",
    "DifferenceTerm",
    "Domain",
    "Elasticity",
    "Interval",
    "Largest",
    "LayerSource",
    "Limit",
    "Monotone",
    "Optimum",
    "Order",
    "Quantity",
    "Range",
    "Regime",
    "RegimeMap",
    "RegimeRows",
    "Regimes",
    "RuleOfThumb",
    "ServerStep",
    "Sign",
    "SignTable",
    "Smallest",
    "Source",
    "Statement",
    "Step",
    "Steps",
    "certificate_from_json",
    "crossover",
    "difference",
    "elasticity",
    "intensity",
    "largest",
    "largest_of",
    "layer",
    "limit",
    "monotone",
    "optimum",
    "order",
    "read_comparison",
    "regime_map",
    "regimes",
    "roofline",
    "roofline_bytes",
    "roofline_of",
    "rule_of_thumb",
    "server_step",
    "sign",
    "size",
    "smallest",
    "smallest_of",
    "solve",
    "stage",
    "steps",
]
