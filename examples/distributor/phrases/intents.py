"""The shape of what customers write: by intent, the wordings of the past and those that only live tickets use."""

Wordings = tuple[str, ...]
Intents = dict[str, tuple[Wordings, Wordings]]
