"""What customers write when the billing team is the one that can help."""

from examples.distributor.phrases.intents import Intents

BILLING: Intents = {
    "charged_twice": (
        (
            "We were charged twice for {o}.",
            "The same invoice was debited two times from our account.",
            "Your statement shows the amount for {o} two times.",
            "There is a duplicate debit for one and the same order.",
        ),
        (
            "The money left our bank account on Monday and again on Wednesday, for one single purchase.",
            "The amount for {o} was taken from our account a second time.",
        ),
    ),
    "tax_number": (
        (
            "The invoice for {o} shows the wrong VAT rate.",
            "Our VAT number on your document is out of date.",
            "You charged German tax although we are a company in Austria.",
            "Reverse charge was not applied on the bill.",
        ),
        (
            "The tax line on the paper for {o} cannot be right, we buy across the border.",
            "Our accountant rejects the document because the fiscal number is not ours.",
        ),
    ),
    "reminder_after_payment": (
        (
            "We got a payment reminder for {o} but the transfer was made last week.",
            "Please stop the dunning letters, this is paid.",
            "Your second reminder crossed with our bank transfer.",
            "The invoice of {o} is settled, still you ask for the money.",
        ),
        (
            "Another threatening letter arrived although the sum was wired ten days ago.",
            "According to your accounts we owe you for {o}; our bank slip says otherwise.",
        ),
    ),
    "where_to_send": (
        (
            "Please send the invoices to our new billing address.",
            "We need the invoice for {o} as an electronic XML document.",
            "Our accounts payable moved, change the invoice mailbox please.",
            "Could we get a copy of the bill for {o} as PDF?",
        ),
        (
            "Our bookkeepers cannot find the bill of {o}, would you mail the document once more?",
            "From April on our documents have to go to the shared finance centre.",
        ),
    ),
    "credit_note": (
        (
            "The credit note for the goods we sent back is still missing.",
            "You promised a refund for {o}, nothing was booked so far.",
            "When will the credit for {o} be on our account?",
            "Our balance does not show the credit note of last month.",
        ),
        (
            "We sent it back in January and the refund has not reached our bank yet.",
            "Nobody has booked in our favour what was agreed for {o}.",
        ),
    ),
    "terms": (
        (
            "The two percent cash discount was not deducted on {o}.",
            "Our payment term is 30 days, the invoice for {o} says 14.",
            "The agreed early payment deduction is missing on the bill.",
            "You changed our due date without telling us.",
        ),
        (
            "We pay fast and yet the usual reduction for that was refused on {o}.",
            "The date by which you want the money for {o} is earlier than our contract says.",
        ),
    ),
}
