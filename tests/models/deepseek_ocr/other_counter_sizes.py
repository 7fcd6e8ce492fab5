"""A page for the tiny architecture: no two sizes agree, and both kinds of views have windows and resizes."""

from modelmeter.models.deepseek_ocr.workload import Workload

# 15 and 5 patches a side; windows of 14 pad both, and 13 were trained.
PAGE = Workload(base_size=240, image_size=80, num_width_tiles=2, num_height_tiles=3, batch_size=1)
