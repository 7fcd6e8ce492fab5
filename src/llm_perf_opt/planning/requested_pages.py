"""The pages that are asked for, as mixes: how they are cut, and for how many of them it matters by which program."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial

from attrs import field, frozen

from llm_perf_opt.data import OCRWorkloadProfile, rules
from llm_perf_opt.planning.cutting import Cutting
from llm_perf_opt.planning.evaluation import ServedModel
from llm_perf_opt.planning.items import find_row, name_output, read_items
from llm_perf_opt.planning.mix import PageMix, count_image_tokens, make_mix
from llm_perf_opt.planning.page_classes import PageClass
from llm_perf_opt.planning.pages import Page, PageClasses, ViewRule, ViewSizes, group_pages, read_pages
from llm_perf_opt.profiles import find_profile
from modelmeter.model.page_views import find_page_views
from modelmeter.model.registry import DEFAULT
from modelmeter.model.serving import Serving
from modelmeter.support.errors import WorkloadError

DEFAULT_SIDES = (1191, 1684)
"""A4 at 144 pixels an inch."""

ALL_MODES = "all"


@frozen(kw_only=True)
class PagesRequest:
    """Which pages are asked for, of which model; what is None was left out.

    Parameters
    ----------
    model
        The name of a registered model.
    pages, workload, page
        The CSV of the pages, the id or file of a workload, or the sides of a page: one of them; else an A4 page.
    output_tokens, prompt_tokens
        Of the page of ``page``, and of each prompt beside its image; of a model that sees no pages, of its one prompt.
    modes, preprocessing
        The ways to look at pages, and the vendor's program that cuts them.
    logits
        ``last`` or ``all`` positions of a prompt.
    """

    model: str = DEFAULT
    pages: str | os.PathLike[str] | None = None
    workload: str | None = None
    page: tuple[int, int] | None = None
    output_tokens: int | None = None
    prompt_tokens: int | None = None
    modes: tuple[str, ...] = ()
    preprocessing: str | None = None
    logits: str = field(default="last", validator=rules.choice("last", "all"))


class Differences:
    """Counts the pages that other programs cut in another way, while they go by.

    Parameters
    ----------
    rules
        How pages are cut, in each mode.
    others
        The same modes with other programs.
    """

    def __init__(self, rules: Iterable[ViewRule], others: Iterable[ViewRule]) -> None:
        ours = {rule.mode.name: rule for rule in rules}
        self._pairs = [(ours[other.mode.name].make_cut(), other.make_cut(), other) for other in others]
        self._counts: Counter[tuple[str, str]] = Counter()

    def watch(self, pages: Iterable[Page]) -> Iterator[Page]:
        """Yield the pages as they are."""
        for page in pages:
            for cut, cut_otherwise, other in self._pairs:
                if cut(page.width, page.height) != cut_otherwise(page.width, page.height):
                    self._counts[other.mode.name, str(other.preprocessing)] += page.num_pages
            yield page

    def count(self, mode: str) -> dict[str, int]:
        """Return how many pages were cut otherwise by each program that differs, in a mode."""
        return {program: number for (name, program), number in self._counts.items() if name == mode}


def find_mixes(request: PagesRequest, model: ServedModel) -> dict[str, tuple[PageMix, Cutting]]:
    """Return the mix of the pages in each mode, and how they are cut there.

    Raises
    ------
    ModelMeterError
        If something cannot be read or found, contradicts something else, or the pages cannot be cut.
    """
    given = [
        option
        for option, value in (("--pages", request.pages), ("--workload", request.workload), ("--page", request.page))
        if value is not None
    ]
    if len(given) > 1:
        raise WorkloadError("the pages are given twice", place=given[0], found=" and ".join(given))
    if request.output_tokens is not None and given[:1] in (["--pages"], ["--workload"]):
        raise WorkloadError("the output of the pages is known already", place="--output-tokens", found=given[0])
    if request.workload is not None and not model.serving.item_sizes:
        return _make_workload(request, model, request.workload)
    serving = model.serving
    if request.logits == "all" and serving.prompt_stage is not None and serving.logits_tokens is None:
        raise WorkloadError("only the last position of a prompt gets logits in this model", place="--logits")
    output_tokens = request.output_tokens or serving.output_tokens
    names = list(serving.modes) if ALL_MODES in request.modes else list(request.modes) or list(serving.modes)[:1]
    if serving.item_sizes:
        _refuse_pages(request, serving)
        said = {} if request.prompt_tokens is None else {str(serving.seq_len): request.prompt_tokens}
        classes = (
            PageClasses({(tuple(sorted({**serving.item_sizes, **said}.items())), output_tokens): 1})
            if request.pages is None
            else read_items(request.pages, serving)
        )
        mix = make_mix(model, classes)
        mix.check_sizes(partial(_say_where, request, serving))
        source = f"the sizes of a {serving.item}" if request.pages is None else str(request.pages)
        cutting = Cutting(source=source, preprocessing=None, is_chosen=True)
        return {serving.find_mode(name).name: (mix, cutting) for name in names}
    views, program = find_page_views(request.model), request.preprocessing or serving.preprocessing
    view_rules = [ViewRule(views=views, mode=serving.find_mode(name), preprocessing=program) for name in names]
    if request.pages is not None:
        pages = read_pages(request.pages)
        source = str(request.pages)
    else:
        width, height = request.page or DEFAULT_SIDES
        pages = iter([Page(width, height, output_tokens)])
        source = f"a page of {width}x{height} pixels"
    # Where the program is said, nobody asks what another one would do.
    others = () if request.preprocessing is not None or program is None else [
        ViewRule(views=views, mode=serving.find_mode(name), preprocessing=other)
        for name in names
        for other in views.preprocessings
        if other != program
    ]  # fmt: skip
    differences = Differences(view_rules, others)
    groups = group_pages(differences.watch(pages), view_rules)
    mixes = [
        make_mix(model, group, prompt_tokens=request.prompt_tokens, all_logits=request.logits == "all")
        for group in groups
    ]
    for mix in mixes:
        mix.check_sizes()
    return {
        name: (
            mix,
            Cutting(
                source=source,
                preprocessing=program,
                is_chosen=request.preprocessing is not None,
                cut_otherwise=differences.count(name),
            ),
        )
        for name, mix in zip(names, mixes, strict=True)
    }


def _say_where(request: PagesRequest, serving: Serving, sizes: ViewSizes) -> str:
    """Return where sizes were given: the row of a file, or the option."""
    path = request.pages
    return "--prompt-tokens" if path is None else f"{path}: row {find_row(path, serving, sizes)}"


def _refuse_pages(request: PagesRequest, serving: Serving) -> None:
    """Refuse what is said of pages, to a model that is given its sizes as they are; its prompt may be one of them."""
    has_prompt = serving.seq_len in serving.item_sizes
    if has_prompt and request.prompt_tokens is not None and request.pages is not None:
        raise WorkloadError("the prompts are given twice", place="--prompt-tokens", found="--pages too")
    for option, value in (("--page", request.page), ("--workload", request.workload),
                          ("--preprocessing", request.preprocessing),
                          ("--prompt-tokens", None if has_prompt else request.prompt_tokens),
                          ("--logits", request.logits == "all")):  # fmt: skip
        if value:
            listed = f"--pages FILE.csv with {', '.join(serving.item_sizes)} and {name_output(serving)}"
            raise WorkloadError(
                "this model does not look at pages", place=option,
                expected=f"--prompt-tokens N --output-tokens N, or {listed}" if has_prompt else listed,
            )  # fmt: skip


def _make_workload(request: PagesRequest, model: ServedModel, workload: str) -> dict[str, tuple[PageMix, Cutting]]:
    """Return the mix of a workload profile, which says itself how its pages are looked at."""
    for option, value in (("--mode", request.modes), ("--preprocessing", request.preprocessing),
                          ("--prompt-tokens", request.prompt_tokens)):  # fmt: skip
        if value:
            raise WorkloadError("the workload says that itself", place=option, found=f"--workload {workload}")
    profile: OCRWorkloadProfile = find_profile(workload)
    if profile.vision_batch_size != 1:
        raise WorkloadError(
            "a server looks at one page at a time", place=f"{profile.profile_id}: vision_batch_size", expected=1,
            found=profile.vision_batch_size,
        )  # fmt: skip
    stated = profile.seq_len if request.logits == "all" else profile.logits_tokens or 1
    width, height = profile.tile_grid
    sizes = {
        "base_size": profile.view_size,
        "image_size": profile.image_size,
        "num_width_tiles": width,
        "num_height_tiles": height,
        "images_per_prompt": profile.images_per_prompt,
    }
    views = tuple(sorted(sizes.items()))
    page = PageClass(
        views=views,
        image_tokens=count_image_tokens(model, views),
        seq_len=profile.seq_len,
        logits_tokens=stated,
        output_tokens=profile.max_new_tokens,
        count=profile.num_pages,
    )
    return {
        profile.profile_id: (
            PageMix(model=model, classes=(page,)),
            Cutting(source=f"the workload {workload}", preprocessing=None, is_chosen=True),
        )
    }
