"""What the vendor's own modules were counted to read and write, operator by operator, by a program that is not ours.

Bfloat16, inference. An operator is what PyTorch dispatches, views apart; attention is one operator that stores no
scores. An expanded dimension is read once, and look-ups read the rows that they take.
"""

from __future__ import annotations

Table = dict[str, tuple[int, int, int]]
"""Calls of each ATen operator, and the bytes that all of them read and write."""

# One view of 1024 pixels, without the projector.
VISION: Table = {
    "add": (114, 447111296, 1982368896),
    "addmm": (144, 1411123200, 832684032),
    "scaled_dot_product_attention": (36, 2089036800, 98009088),
    "clone": (73, 539653120, 539653120),
    "gelu": (12, 301989888, 301989888),
    "native_layer_norm": (73, 177059840, 177672584),
    "mul": (98, 155791872, 105253760),
    "bmm": (24, 175349760, 76674048),
    "constant_pad_nd": (8, 50331648, 60211200),
    "sigmoid": (24, 50528256, 50528256),
    "convolution": (5, 32376320, 12058624),
    "sub": (28, 8424320, 8460416),
    "index": (24, 4882944, 4595712),
    "mean": (4, 8388608, 32768),
    "div": (2, 4210688, 4194304),
    "pow": (2, 4194304, 4194304),
    "embedding": (1, 528392, 526336),
    "cat": (1, 526336, 526336),
    "_to_copy": (24, 71808, 287232),
    "sqrt": (2, 16384, 16384),
}

# A prompt of 913 tokens from embeddings on, every expert chosen.
PREFILL: Table = {
    "mm": (2208, 6227293056, 846095360),
    "_to_copy": (131, 655860832, 1042335536),
    "mul": (849, 623281452, 455426312),
    "mul_": (11, 308761992, 308520960),
    "index_put_": (11, 309003024, 154260480),
    "cat": (47, 213159936, 215964672),
    "add": (84, 275890340, 137990820),
    "sum": (22, 313662976, 51425792),
    "silu": (716, 156480896, 156480896),
    "index": (11, 154742544, 154260480),
    "pow": (25, 116864000, 116864000),
    "mean": (25, 116864000, 91300),
    "scaled_dot_product_attention": (12, 84142080, 28047360),
    "neg": (24, 28047360, 28047360),
    "cos": (12, 5609472, 5609472),
    "sin": (12, 5609472, 5609472),
    "scatter_": (11, 5624080, 5142016),
    "_softmax": (11, 2571008, 2571008),
    "topk": (11, 2571008, 723096),
    "bmm": (12, 46896, 2804736),
    "sort": (11, 482064, 964128),
    "floor_divide": (11, 482064, 482064),
    "rsqrt": (25, 91300, 91300),
}

# A token behind 913. transformers copies the cache with 24 of the 71 concatenations.
DECODE: Table = {
    "mm": (294, 1150745472, 926720),
    "cat": (71, 56389632, 56392704),
    "scaled_dot_product_attention": (12, 56186880, 30720),
    "_to_copy": (131, 2518624, 4742192),
    "mul": (211, 746604, 498824),
    "mul_": (11, 338184, 337920),
    "index_put_": (11, 338448, 168960),
    "add": (84, 302180, 151140),
    "sum": (22, 343552, 61952),
    "silu": (78, 171392, 171392),
    "index": (11, 169488, 168960),
    "pow": (25, 128000, 128000),
    "mean": (25, 128000, 100),
    "neg": (24, 30720, 30720),
    "cos": (12, 6144, 6144),
    "sin": (12, 6144, 6144),
    "scatter_": (11, 6160, 5632),
    "bmm": (12, 3120, 3072),
    "_softmax": (11, 2816, 2816),
    "topk": (11, 2816, 792),
    "sort": (11, 528, 1056),
    "floor_divide": (11, 528, 528),
    "rsqrt": (25, 100, 100),
}
