"""Pages by what they cost: those that cost the same, and those that are alike up to their first token."""

from __future__ import annotations

from attrs import frozen

from llm_perf_opt.planning.pages import ViewSizes

Prompt = tuple[ViewSizes, int, int]
"""What a page is before its first token: the sizes of its views, the prompt, and the positions that get logits."""


@frozen(kw_only=True)
class PageClass:
    """Pages that cost the same.

    Parameters
    ----------
    views
        The sizes of their views.
    image_tokens
        The tokens of the image.
    seq_len
        The prompt, with the tokens of the image.
    logits_tokens
        How many of its positions get logits.
    output_tokens
        What is written; the first token comes from the prompt, the others from steps.
    count
        How many pages there are.
    has_prompt
        Whether there is a prompt; else ``seq_len`` is 0, and all tokens come from steps.
    """

    views: ViewSizes
    image_tokens: int
    seq_len: int
    logits_tokens: int
    output_tokens: int
    count: int
    has_prompt: bool = True

    @property
    def prompt(self) -> Prompt:
        """What they are before their first token."""
        return self.views, self.seq_len, self.logits_tokens

    @property
    def num_steps(self) -> int:
        """Steps of one token."""
        return self.output_tokens - self.has_prompt

    @property
    def cached_tokens(self) -> int:
        """Positions that the last step has before it and its own; the last token is written, not read."""
        return self.seq_len + self.num_steps

    @property
    def step_contexts(self) -> int:
        """The sum, over its steps, of the positions that are cached before the step."""
        return self.num_steps * self.seq_len + self.num_steps * (self.num_steps - 1) // 2


@frozen(kw_only=True)
class PromptGroup:
    """Pages that are alike up to their first token.

    Parameters
    ----------
    page
        One of them.
    steps
        Their numbers of steps, each once, in order.
    cumulative
        How many of the pages have at most so many steps.
    """

    page: PageClass
    steps: tuple[int, ...]
    cumulative: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many there are."""
        return self.cumulative[-1]
