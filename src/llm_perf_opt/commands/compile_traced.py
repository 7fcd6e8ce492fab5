"""``modelmeter compile SOURCE``: from a config of transformers to the files of its evaluators, pages and evidence."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from llm_perf_opt.commands.compile import describe_files, refuse_folder
from llm_perf_opt.exit_codes import print_warning
from modelmeter.frontend.compiled_folder import (
    CHECKS_FILE,
    MANIFEST_FILE,
    TRACED_FILE,
    refuse_other_models,
    write_manifest,
)
from modelmeter.frontend.configs.config_fields import check_fields, read_fields
from modelmeter.frontend.configs.sources import check_name, describe_choice, find_config, is_traced
from modelmeter.model.registry import DEFAULT, list_models
from modelmeter.support.beside import can_fork
from modelmeter.support.errors import ModelMeterError
from modelmeter.support.extras import INSTALL_TRANSFORMERS, explain_missing_extra
from modelmeter.support.files import explain_failure
from modelmeter.support.garbage import without_collection
from modelmeter.support.generated_files import GRAPH_FILE, check_files, refuse_foreign_files, write_files
from modelmeter.support.suggestions import unknown_name

if TYPE_CHECKING:  # it needs torch
    from modelmeter.frontend.compile import TracedCompilation

__all__ = [
    "compile_source",
    "describe_choice",
    "is_traced",
    "list_files",
    "name_family",
    "refuse_general",
    "refuse_options",
]


class SourceError(ModelMeterError):
    """What is to be compiled is said twice, or not where it goes."""


def refuse_options(options: Mapping[str, object], model: str) -> None:
    """Refuse options that only a registered model has.

    Raises
    ------
    SourceError
        If one of them is given.
    """
    given = [name for name, value in options.items() if value is not None]
    given += ["--model"] if model != DEFAULT else []
    if given:
        raise SourceError("a model that is traced has no such option", place=", ".join(given), remedy="leave it out")


def refuse_general(general: bool, training: bool) -> None:
    """Refuse what a registered model has anyhow, or never: symbols for sizes, and a training step.

    Raises
    ------
    SourceError
        If that is asked for.
    """
    if general:
        raise SourceError("general is of every registered model", place="--general", remedy="leave it out")
    if training:
        raise SourceError("the layers of a registered model say what their training is", place="--training",
                          remedy="leave it out")  # fmt: skip


def refuse_both(general: bool, training: bool) -> None:
    """Refuse a training step in sizes of the config, which nothing interpolates.

    Raises
    ------
    SourceError
        If it is asked for.
    """
    if general and training:
        raise SourceError(
            "a training step has no sizes of the config as symbols", place="--general --training",
            remedy="compile the model twice, into two folders",
        )  # fmt: skip


def name_family(source: str | None, model: str, config: Path | None) -> tuple[str, Path | None]:
    """Return the registered model and its config that a source is.

    Raises
    ------
    SourceError
        If an option says something else.
    """
    if source is None:
        return model, config
    if source in list_models():
        if model not in (DEFAULT, source):
            raise SourceError("two models are named", place="--model", expected=source, found=model)
        return source, config
    if config is not None:
        raise SourceError("two configs are named", place="--config", expected=source, found=config)
    return model, Path(find_config(source))


@without_collection()  # torch, transformers and sympy make a million objects that stay to the end
def compile_source(
    source: str,
    folder: Path | None,
    begin: Callable[[str], None],
    *,
    name: str | None = None,
    check: bool = False,
    targets: Collection[str] | None = None,
    general: bool = False,
    training: bool = False,
) -> str:
    """Trace and compile a model, write its files or check them, and return what was done.

    Raises
    ------
    SourceError
        If no folder is named.
    FolderError
        If the folder holds another model.
    ModelMeterError
        From the step that fails; nothing is written.
    """
    if folder is None:
        raise SourceError("no folder to write to", place="--out", remedy="name one, as --out compiled")
    if name is not None:
        check_name(name)
    path = find_config(source)
    if choice := describe_choice(source):
        print_warning(choice)  # now, and not after a minute of traces
    if not check:
        refuse_folder(folder)
    quantised = has_code = False
    if os.path.isfile(path):
        fields = read_fields(path)
        check_fields(fields, path)  # in a moment, and not after seconds of imports
        quantised, has_code = bool(fields.get("quantization_config")), bool(fields.get("auto_map"))
    begin("load transformers")
    with explain_missing_extra("tracing any model", "torch, torchinfo and transformers", remedy=INSTALL_TRANSFORMERS):
        from modelmeter.frontend.cards.shipped import find_card
        from modelmeter.frontend.configs.config import read_model_config
        from modelmeter.frontend.definition import name_package

        card = find_card(source)
        if card is None:
            read = read_model_config(source, name=name)
            title = read.name
            for key, meant in read.misspelt.items():
                print_warning(f"{path}: {key} is no key of this model, and is not read; did you mean {meant}")
        else:
            title = name or card.title
        if not check:  # now, and not after a minute of traces
            refuse_other_models(folder, name_package(title))
        from modelmeter.frontend.compile import open_compilation
        from modelmeter.frontend.eager_attention import EAGER_ATTENTION_RULE
        from modelmeter.frontend.left_out import LEFT_OUT
    from modelmeter.compiler import list_targets

    for unknown in sorted({*(targets or ())}.difference(list_targets())):
        raise unknown_name("target", unknown, list_targets())

    with open_compilation(
        source, name=name, general=general, training=training, begin=begin, parallel=can_fork()
    ) as compilation:
        begin("emit the evaluators and the pages")
        files = list_files(compilation, targets)
    begin("compare the files" if check else "write the files")
    with explain_failure("a generated file", folder):
        if check:
            check_files(files, folder)
        else:
            refuse_foreign_files(files, folder)
            write_files(files, folder)
    lines = [describe_files(files, folder, "current" if check else "written")]
    if compilation.assumed:
        unsaid = ", ".join(f"{key} = {value}" for key, value in compilation.assumed.items())
        silent = "config" if card is None else "card"
        lines.append(
            f"the {silent} does not say, so that the defaults of {compilation.traced.model_type} hold: {unsaid}"
        )
    if compilation.tower is not None and compilation.tower.title != compilation.traced.title:
        seen = compilation.tower
        pages = f"; --page cuts pages as the processor of {seen.title} does" if compilation.page_rule else ""
        lines.append(f"it sees as the card {seen.name} says, at the sizes of its own config{pages}")
    if has_code:
        lines.append(
            f"auto_map names code of the model's own, which was not run: these are the modules of transformers for "
            f"{compilation.traced.model_type}"
        )
    if quantised:
        lines.append(
            "quantization_config is not read: the modules are those without it, and weights take weight_bits each, "
            "16 by default"
        )
    lines += [
        f"{stage} is refused: {reason}; so there is no request" for stage, reason in compilation.traced.refused.items()
    ]
    conventions = compilation.traced.conventions
    lines += [conventions[rule].replace("``", "") for rule in (EAGER_ATTENTION_RULE, LEFT_OUT) if rule in conventions]
    if compilation.traced.general_refused:
        lines.append(f"no sizes of the architecture in general: {compilation.traced.general_refused}")
    if compilation.traced.training_refused:
        lines.append(f"no training step: {compilation.traced.training_refused}")
    return "\n".join(lines)


def list_files(compilation: TracedCompilation, targets: Collection[str] | None = None) -> dict[str, str]:
    """Return the files of a traced model by path; those of its evaluators make a folder that can be opened."""
    from modelmeter.compiler import emit_files
    from modelmeter.frontend.archive import write_traced

    definition, traced = compilation.compiled.definition, compilation.traced
    package = definition.package
    files = emit_files(compilation.compiled, targets=targets)
    files[f"{package}/{GRAPH_FILE}"] = traced.graph.to_json()
    files[f"{package}/{CHECKS_FILE}"] = json.dumps(compilation.to_record(), indent=1) + "\n"
    files[f"{package}/{TRACED_FILE}"] = write_traced(traced)
    if f"{package}/__init__.py" in files:
        files[f"{package}/{MANIFEST_FILE}"] = write_manifest(
            files, name=definition.name, title=traced.title, package=package, stages=definition.stage_names,
            workload=traced.default_workload, page_rule=compilation.page_rule,
            max_position_embeddings=compilation.max_position_embeddings,
            refused=traced.refused,
        )  # fmt: skip
    return files
