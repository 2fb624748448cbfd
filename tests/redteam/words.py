"""The words of attacks that are tried on two roads: in this process, and over HTTP on a server of its own."""

from typing import Final


def guesses(field: str) -> list[str]:
    """Questions by an id, of which `ID` is to be replaced; `field` is what asks for one entity of a class."""
    return [
        f'{{ {field}(id: "ID") {{ id version changes {{ position }} }} }}',
        '{ node(id: "ID") { id } }',
        '{ nodes(ids: ["ID"]) { id } }',
        '{ why(id: "ID") { text } }',
        '{ search(text: "house", near: ["ID"]) { hits { score } } }',
        'mutation { approve(decision: "ID") { met errors { code message } } }',
    ]


#: Too much in one question, with the words in which it is refused.
FLOODS: Final = (
    ("{ " + " ".join(f"a{n}: viewer {{ uid }}" for n in range(31)) + " }", "31 aliases; at most 30"),
    ("{ " + "viewer { uid } " * 600 + "}", "more than 2,000 tokens"),
    ("{" + "a{" * 150 + "b" + "}" * 151, "nests more than 100 brackets"),
    ("[" * 5_000, "nests more than 100 brackets"),
)
