"""What stands around the matter of a ticket: greetings, remarks that use another team's words, closings, subjects."""

from examples.distributor.phrases.billing import BILLING
from examples.distributor.phrases.intents import Intents
from examples.distributor.phrases.logistics import LOGISTICS
from examples.distributor.phrases.returns import RETURNS
from examples.distributor.phrases.sales_support import SALES_SUPPORT
from examples.distributor.phrases.technical import TECHNICAL

# Each team's intents: what was written so far, and what only the live tickets say.
TEAMS: dict[str, Intents] = {
    "billing": BILLING,
    "logistics": LOGISTICS,
    "technical": TECHNICAL,
    "sales-support": SALES_SUPPORT,
    "returns": RETURNS,
}
GREETINGS = ("Hello,", "Dear team,", "Good morning,", "Hi,", "Dear Sir or Madam,", "")
# Words of the other teams, so that a word alone does not tell the team.
REMARKS = (
    "The invoice itself is fine.",
    "The last delivery was on time, thank you.",
    "The goods themselves work well.",
    "We do not want to return anything.",
    "The price we agreed is not the question.",
    "The order confirmation was correct.",
    "Our account manager knows about it.",
    "We have the delivery note here.",
    "A photo can follow.",
    "We paid as always.",
    "This is for a project with a fixed date.",
    "Your driver was friendly as ever.",
)
CLOSINGS = ("Kind regards", "Thanks", "Please call back.", "Best regards", "Thank you for a quick answer.", "Regards")
SUBJECTS = (
    "Question",
    "Please help",
    "Your order",
    "Urgent",
    "Request",
    "Problem",
    "Information needed",
    "Follow-up",
    "Our order {o}",
)
# The web form asks the customer for a category; customers choose badly, so it is a hint at best.
CATEGORIES = ("order", "product", "account", "other")
LIKELY_CATEGORY = {
    "billing": "account",
    "logistics": "order",
    "technical": "product",
    "sales-support": "product",
    "returns": "order",
}
