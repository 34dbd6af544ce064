from graddebug.views.finding_words import cut_source, quote_lines
from graddebug.views.line import Tone, plain
from graddebug.views.quote import Quote, QuotedLine


def test_a_guilty_line_keeps_its_part_where_the_code_is_cut() -> None:
    """The mark says why the line is quoted: the code gives way to it."""
    quote = Quote("train.py", (), (QuotedLine(7, "loss.backward()" * 20, ("backward",)),))
    *_, guilty = quote_lines(quote, Tone.ERROR)
    assert plain(cut_source(guilty, 40)).endswith("…  ◀ backward")
