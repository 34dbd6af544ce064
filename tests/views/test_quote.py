from graddebug.records import Role, Site
from graddebug.views.quote import quotes
from tests.views.recordings import site


def test_roles_in_one_file_share_one_quote() -> None:
    """Backward and step, two lines apart, are quoted once with both lines marked."""
    (quote,) = quotes([Role("backward", site(13)), Role("step", site(15))])
    marked = {line.number: line.roles for line in quote.lines if line and line.roles}
    assert marked == {13: ("backward",), 15: ("step",)}


def test_distant_stretches_are_parted_by_a_gap() -> None:
    """Lines left out are said to be left out."""
    (quote,) = quotes([Role("zero_grad", site(2)), Role("step", site(15))])
    assert None in quote.lines


def test_shared_indentation_is_dropped() -> None:
    """Deeply nested loops do not push the code out of sight."""
    (quote,) = quotes([Role("backward", site(13))], around=1)
    assert [line.text for line in quote.lines if line] == [
        "loss = F.cross_entropy(logits, digits)",
        "loss.backward()",
        "nn.utils.clip_grad_norm_(model.parameters(), 1.0)",
    ]


def test_a_line_without_source_is_still_marked() -> None:
    """Where the program could not be read, number and role remain."""
    (quote,) = quotes([Role("step", Site("<stdin>", 7, "<module>"))])
    assert [(line.number, line.text, line.roles) for line in quote.lines if line] == [(7, "", ("step",))]


def test_a_file_is_named_from_where_the_program_ran() -> None:
    """Paths are as the user typed them; one that lies elsewhere stays whole."""
    roles = [Role("step", Site("/home/ada/digits/src/train.py", 7, "<module>"))]
    assert [quote.file for quote in quotes(roles, beneath="/home/ada/digits")] == ["src/train.py"]
    assert [quote.file for quote in quotes(roles, beneath="/home/eve")] == ["/home/ada/digits/src/train.py"]
