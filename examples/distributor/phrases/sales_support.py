"""What customers write when the sales support team is the one that can help."""

from examples.distributor.phrases.intents import Intents

SALES_SUPPORT: Intents = {
    "quote": (
        (
            "Please quote 200 pieces of the {p}.",
            "What is your best price for a larger quantity of the {p}?",
            "We need an offer for a school project by Friday.",
            "Can you give us project prices for the {p}?",
        ),
        (
            "How much would we pay if we took a whole truck of the {p}?",
            "We are bidding for a hospital and need your figures soon.",
        ),
    ),
    "alternative": (
        (
            "Is there a successor of the {p}?",
            "The {p} is not in the catalogue any more, what can we use instead?",
            "Which article replaces the {p}?",
            "Do you have the {p} in another colour?",
        ),
        (
            "We cannot find the {p} in your list, was it replaced by a newer model?",
            "What would you recommend in place of the {p}?",
        ),
    ),
    "availability": (
        (
            "When will the {p} be available again?",
            "Do you have 80 pieces of the {p} in stock?",
            "Can we reserve the {p} for May?",
            "How long is the lead time of the {p} at the moment?",
        ),
        (
            "If we wanted fifty of the {p} in spring, would you have them?",
            "Your shop says the {p} is sold out, is more expected soon?",
        ),
    ),
    "shop_account": (
        (
            "A colleague needs access to the web shop.",
            "Our buyer left, please remove his login.",
            "The shop does not show our own net prices.",
            "Please open a second user for our branch.",
        ),
        (
            "The young lady who orders for us now cannot sign in.",
            "After signing in we see list prices instead of the ones negotiated.",
        ),
    ),
    "frame_contract": (
        (
            "We would like to extend our frame contract.",
            "Which conditions do we get from 50,000 a year on?",
            "Please prepare a yearly call-off agreement for the {p}.",
            "Who is our contact for a new agreement?",
        ),
        (
            "Our arrangement of last year ends in April, shall we sit down together?",
            "We would sign for a yearly volume if the conditions are good.",
        ),
    ),
    "sample": (
        (
            "Could we have a sample of the {p}?",
            "Please send us your new catalogue.",
            "Can your representative visit us next week?",
            "We would like a demonstration of the {p}.",
        ),
        (
            "May we try one of the {p} before we decide?",
            "It would be good if your salesman came by with the new products.",
        ),
    ),
}
