"""What customers write when the returns team is the one that can help."""

from examples.distributor.phrases.intents import Intents

RETURNS: Intents = {
    "wrong_item": (
        (
            "We received the wrong article with {o}.",
            "Instead of the {p} you sent another type.",
            "The box says {p} but something else is inside.",
            "You mixed up the articles of {o}, please exchange them.",
        ),
        ("What we unpacked is not what we had asked for.", "The carton holds a product meant for another customer."),
    ),
    "damaged": (
        (
            "The {p} of {o} arrived broken.",
            "Two cartons of {o} were crushed, the goods are damaged.",
            "The glass of the {p} is cracked.",
            "The housing of the {p} was dented when we opened the box.",
        ),
        (
            "The {p} was in pieces when we opened the parcel.",
            "Somebody must have dropped the {p}, a corner is missing.",
        ),
    ),
    "too_many": (
        (
            "We ordered too many of the {p} and want to send some back.",
            "Can we return unopened goods of {o}?",
            "The project was cancelled, we would like to give {o} back.",
            "Please take back ten pieces of the {p}.",
        ),
        (
            "By mistake we bought ten times what we need, may we hand it back?",
            "The builder changed his mind and the {p} is left over.",
        ),
    ),
    "warranty": (
        (
            "The {p} failed within the guarantee period, please replace it.",
            "We claim warranty for a defective {p}.",
            "One {p} died after three months, we want a replacement.",
            "Please exchange the faulty {p} under warranty.",
        ),
        (
            "It stopped working within the two years, so we expect a replacement.",
            "Can a dead {p} be swapped for a good one?",
        ),
    ),
    "missing_pieces": (
        (
            "In the package of the {p} the screws were missing.",
            "The set from {o} is incomplete, please take it back or complete it.",
            "There are 8 instead of 10 in the sealed box.",
            "The cover of the {p} was not in the box.",
        ),
        (
            "The bag with the mounting parts of the {p} was empty.",
            "We counted twice, the sealed carton holds fewer than printed on it.",
        ),
    ),
    "label": (
        (
            "Please send us a return label for {o}.",
            "When will the carrier collect the goods we want to send back?",
            "The return number is not accepted by the shop.",
            "How do we pack the {p} for its return?",
        ),
        (
            "The parcel that goes back to you has not been picked up for a week.",
            "Which sticker goes on the box that comes back to you?",
        ),
    ),
}
