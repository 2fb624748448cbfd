"""What customers write when the logistics team is the one that can help; `WAITING` is about one late order."""

from examples.distributor.phrases.intents import Intents

WAITING = (
    (
        "Order {o} should have been here days ago. Where is it?",
        "We still wait for {o}; the promised date has passed.",
        "Nothing has arrived for {o} and our site stands still.",
        "Please tell us when {o} will finally be delivered.",
        "The delivery of {o} is overdue, our fitters have nothing to install.",
    ),
    (
        "Our crew has been idle since last week because {o} never turned up.",
        "Any sign of life of {o}? It was announced long ago.",
        "We were told a date for {o} and nobody rang the bell on that day.",
    ),
)

LOGISTICS: Intents = {
    "where_is_it": WAITING,
    "redirect": (
        (
            "Please deliver {o} to our building site, not to the office.",
            "The delivery address of {o} is wrong, can you change it?",
            "Can the driver go to gate 4 instead of reception?",
            "We moved; please redirect the parcel of {o}.",
        ),
        (
            "Nobody is at the yard this week, could the truck with {o} go to our second branch?",
            "The lorry must come to the back entrance, the street in front is torn up.",
        ),
    ),
    "partial": (
        (
            "Only half of {o} has been delivered, when does the rest come?",
            "We got two of three pallets.",
            "One parcel of {o} is still on its way, please check.",
            "The delivery note lists boxes that the driver did not have.",
        ),
        (
            "The van brought some of it, the remainder of {o} seems to be sitting in a depot.",
            "Three cartons were announced and the driver unloaded only two.",
        ),
    ),
    "time_window": (
        (
            "Our goods entrance closes at 14:00, please book a time slot for {o}.",
            "We need a truck with a tail lift for {o}.",
            "The driver must call us an hour before he arrives.",
            "Can {o} come on Thursday morning only?",
        ),
        (
            "There is no forklift here, so please send something that can lower a pallet.",
            "After two in the afternoon no one is here to open the gate for {o}.",
        ),
    ),
    "tracking": (
        (
            "The tracking link of {o} shows an error.",
            "The shipment number you sent is unknown to the carrier.",
            "The parcel status of {o} has not changed for a week.",
            "According to the tracking {o} went to another town.",
        ),
        (
            "The haulier's tracking page does not know our consignment.",
            "On the map our parcel is moving away from us, not closer.",
        ),
    ),
    "no_signature": (
        (
            "The driver left the pallet in the rain without a signature.",
            "Someone unknown signed for {o}.",
            "The carrier says {o} was handed over, but we have nothing.",
            "The parcel was put down at our neighbours.",
        ),
        (
            "Your haulier claims we accepted {o}; nobody here did.",
            "The boxes stood on the pavement when we came in this morning.",
        ),
    ),
}
