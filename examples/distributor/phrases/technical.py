"""What customers write when the technical team is the one that can help."""

from examples.distributor.phrases.intents import Intents

TECHNICAL: Intents = {
    "trips": (
        (
            "The {p} trips as soon as we switch on the load.",
            "After the installation the {p} goes off every few minutes.",
            "Why does the breaker fall when two motors start together?",
            "Our {p} will not stay on.",
        ),
        (
            "Every time the compressor starts, everything goes dark and we have to reset the {p}.",
            "It clicks out within seconds even with nothing connected behind it.",
        ),
    ),
    "wiring": (
        (
            "Please send a wiring diagram for the {p}.",
            "How do we connect the neutral on the {p}?",
            "Which terminal takes the control line of the {p}?",
            "We need the connection plan for three-phase operation.",
        ),
        (
            "Our apprentice does not know which of the four clamps the blue lead belongs to.",
            "Is there a drawing that shows how the {p} is hooked up to two supplies?",
        ),
    ),
    "flicker": (
        (
            "The {p} flickers when it is dimmed below 30 percent.",
            "Is the {p} compatible with trailing edge dimmers?",
            "The lamps buzz and flicker with your dimmer.",
            "The light pulses at low level.",
        ),
        ("At a low setting the room looks like a disco.", "People get headaches because the light is not steady."),
    ),
    "offline": (
        (
            "The {p} loses its network connection every night.",
            "After the firmware update the {p} no longer answers.",
            "We cannot reach the configuration page of the {p}.",
            "How do we reset the gateway to factory settings?",
        ),
        (
            "Since the software update our laptop cannot connect to the {p}.",
            "It forgets its settings every time the power was gone.",
        ),
    ),
    "certificate": (
        (
            "We need the declaration of conformity for the {p}.",
            "Please send the data sheet with the short circuit rating.",
            "Is there a test report for IP65 of the {p}?",
            "The inspector asks for the certificate of the {p}.",
        ),
        (
            "The fire officer wants it in writing that the {p} may be used in escape routes.",
            "Up to which current may this be used according to the standard?",
        ),
    ),
    "noise": (
        (
            "The {p} hums loudly under load.",
            "The contactor rattles after a few hours.",
            "There is a smell of hot plastic from the {p}.",
            "The housing of the {p} gets very warm, is that normal?",
        ),
        (
            "You can hear the {p} buzz through the closed cabinet door.",
            "It becomes far too hot to touch at full power.",
        ),
    ),
}
