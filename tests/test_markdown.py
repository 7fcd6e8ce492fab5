"""Text from elsewhere in Markdown."""

from __future__ import annotations

from modelmeter.markdown import escape_markdown


def test_it_shows_as_it_is() -> None:
    escaped = escape_markdown(r"a|b <i> *x* _y_ `z` [l](u) #1 $m$ {c} back\slash ~ ^ % &")
    assert escaped == r"a\|b \<i\> \*x\* \_y\_ \`z\` \[l\](u) \#1 \$m\$ \{c\} back\\slash \~ ^ % &"


def test_an_underscore_inside_a_word_is_left_alone() -> None:
    assert escape_markdown("seq_len _softmax view_") == r"seq_len \_softmax view\_"
