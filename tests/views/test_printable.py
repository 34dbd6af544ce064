import pytest

from graddebug.views.printable import cells, fit, fit_end, fit_middle, pad, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("encoder.weight", "encoder.weight"),
        ("a\x1b[31mb", "a␛[31mb"),
        ("a\nb", "a␊b"),
        ("a\x7fb", "a␡b"),
        ("a\x9bb", "a\\x9bb"),
        ("a\u202eb", "a\\u202eb"),
        ("\tx", "    x"),
        ("层[0].权重", "层[0].权重"),
    ],
)
def test_control_characters_are_shown_and_never_sent(text: str, shown: str) -> None:
    """What would act on a terminal becomes a picture of itself; letters stay."""
    assert printable(text) == shown


def test_wide_characters_take_two_columns() -> None:
    """Columns line up with East Asian names too."""
    assert cells("层a") == 3
    assert pad("层a", 5) == "层a  "
    assert fit("层层层", 4) == "层…"


def test_a_module_path_is_cut_in_its_middle() -> None:
    """Both ends of a long name stay readable."""
    shown = fit_middle("transformer.blocks.11.attention.qkv.weight", 20)
    assert shown == "transf…on.qkv.weight"
    assert cells(shown) == 20


def test_padding_is_exact_on_either_side() -> None:
    """A cell is as wide as its column, whatever is in it."""
    assert pad("ab", 4, right=True) == "  ab"
    assert pad("abcdef", 4) == "abc…"


def test_a_cut_beginning_is_marked() -> None:
    """A place keeps its line number."""
    assert fit_end("zero_grad_forgotten.py:22", 10) == "…ten.py:22"
