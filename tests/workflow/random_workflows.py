"""Random workflows from a seed: all tasks that need no outside service, nested, with data flow, directives, errors and crashes.

They always end: directives only lead forward, loops run over short lists, and events that are listened to arrive.
"""

import random
from typing import Any

from coordination.workflow import builder as w
from coordination.workflow.builder import Common, Named
from coordination.workflow.document import Document, of_body
from tests.conformance.workflow_engine import Case

Json = Any
ERRORS = ("https://example.com/errors/a", "https://example.com/errors/b")
TYPES = ("com.example.a", "com.example.b")
#: A number out of whatever the data is.
NUMBER = 'if type == "object" then (.n // 0) elif type == "array" then length elif type == "number" then . else 0 end'


class Chance:
    """Draws workflows."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.count = 0
        self.names: list[str] = []

    def case(self) -> tuple[Document, Case]:
        """A workflow with its input, its events and its crashes."""
        tasks = self.tasks(3, 2)
        about = {"dsl": "1.0.3", "namespace": "random", "name": "one", "version": "1.0.0"}
        body: dict[str, Json] = {"document": about, "do": w.listed(tasks)}
        if self.draw.random() < 0.2:
            body["timeout"] = {"after": {"seconds": self.draw.randint(1, 40)}}
        if self.draw.random() < 0.2:
            body["output"] = {"as": "{ last: . }"}
        events = [
            (self.draw.randint(0, 30) * 1_000_000 + number, {"type": self.draw.choice(TYPES), "data": {"n": number}})
            for number in range(12)
        ]
        case = Case(input=self.draw.choice([None, 3, {"n": 2}, [1, 2]]))
        case.events = [
            (after, {"id": str(number), "source": "/tests", "specversion": "1.0", **event})
            for number, (after, event) in enumerate(sorted(events, key=lambda pair: pair[0]))
        ]
        if self.draw.random() < 0.5:
            case.crashes = self.draw.sample(self.names, min(2, len(self.names)))
        return of_body(body), case

    def tasks(self, depth: int, width: int) -> list[Named]:
        found = [self.task(depth) for _ in range(self.draw.randint(1, width + 1))]
        for index in range(len(found) - 1):
            # Only ever forward, so that every workflow ends.
            if self.draw.random() < 0.15 and "switch" not in found[index].body:
                then = self.draw.choice([task.name for task in found[index + 1 :]])
                found[index] = Named(found[index].name, {**found[index].body, "then": then})
        return found

    def task(self, depth: int) -> Named:
        self.count += 1
        name = f"t{self.count}"
        self.names.append(name)
        kinds = ["set", "set", "wait", "raise", "emit", "switch", "listen"]
        if depth:
            kinds += ["do", "for", "fork", "try", "try"]
        return getattr(self, f"a_{self.draw.choice(kinds)}")(name, depth)

    def common(self, *, then: bool = True) -> Common:
        draw = self.draw
        return Common(
            if_=draw.choice([None, None, None, f"({NUMBER}) > 1", "$context == null"]),
            input_from=draw.choice([None, None, None, f"{{ n: ({NUMBER}) }}"]),
            output_as=draw.choice([None, None, None, f"{{ n: (({NUMBER}) + 1) }}", "$input"]),
            export_as=draw.choice([None, None, None, f"{{ seen: ({NUMBER}) }}"]),
            timeout=draw.choice([None, None, None, None, draw.randint(1, 20)]),
            then=draw.choice([None] * 8 + ["exit", "end"]) if then else None,
        )

    def a_set(self, name: str, depth: int) -> Named:
        data: Json = self.draw.choice(
            [
                {"n": f"${{ ({NUMBER}) + {self.draw.randint(1, 5)} }}", "by": name},
                f"${{ {NUMBER} }}",
                {"text": f"is ${{ {NUMBER} }}"},
            ]
        )
        return w.set_(name, data, self.common())

    def a_wait(self, name: str, depth: int) -> Named:
        return w.wait(name, self.draw.randint(0, 15), self.common())

    def a_raise(self, name: str, depth: int) -> Named:
        return w.raise_(name, w.error(self.draw.choice(ERRORS), self.draw.choice([400, 503])), self.common(then=False))

    def a_emit(self, name: str, depth: int) -> Named:
        # Without `output`, so that the output on record is the event itself.
        common = Common(
            if_=self.draw.choice([None, "$context == null"]), export_as=self.draw.choice([None, "{ seen: . }"])
        )
        return w.emit(name, "com.example.out", f"${{ {NUMBER} }}", common=common)

    def a_switch(self, name: str, depth: int) -> Named:
        cases = [
            w.Case("big", self.draw.choice(["exit", "continue", "end"]), f"({NUMBER}) > {self.draw.randint(0, 6)}")
        ]
        if self.draw.random() < 0.5:
            cases.append(w.Case("rest", self.draw.choice(["exit", "continue"])))
        return w.switch(name, *cases, common=self.common(then=False))

    def a_listen(self, name: str, depth: int) -> Named:
        common = Common(timeout=self.draw.randint(1, 30)) if self.draw.random() < 0.5 else Common(timeout=60)
        filters = [w.event(type) for type in TYPES]
        to = self.draw.choice(
            [w.one(filters[0]), w.any_(*filters), w.any_(filters[0], until="(. | length) == 2"), w.all_(*filters)]
        )
        each = w.iterator([self.task(0)]) if self.draw.random() < 0.3 else None
        return w.listen(name, to, read=self.draw.choice([None, "data"]), foreach=each, common=common)

    def a_do(self, name: str, depth: int) -> Named:
        return w.do(name, self.tasks(depth - 1, 2), self.common())

    def a_for(self, name: str, depth: int) -> Named:
        stop = self.draw.choice([None, None, "$index < 2"])
        return w.for_(name, "[1, 2, 3]", self.tasks(depth - 1, 1), while_=stop, common=self.common())

    def a_fork(self, name: str, depth: int) -> Named:
        if self.draw.random() < 0.3:
            return self.a_race(name)
        branches = [self.task(depth - 1) for _ in range(self.draw.randint(1, 3))]
        return w.fork(name, branches, common=self.common())

    def a_race(self, name: str) -> Named:
        """Branches that end at different times: which of two that end at once wins is nobody's to say."""
        lengths = self.draw.sample(range(1, 12), self.draw.randint(1, 3))
        branches = [
            w.do(
                f"{name}-{number}", [w.wait(f"{name}-{number}-w", length), w.set_(f"{name}-{number}-s", {"n": number})]
            )
            for number, length in enumerate(lengths)
        ]
        return w.fork(name, branches, compete=True, common=self.common())

    def a_try(self, name: str, depth: int) -> Named:
        draw = self.draw
        policy = w.retry(
            delay=draw.randint(0, 3),
            backoff=draw.choice([None, "constant", "linear", "exponential"]),
            count=draw.randint(0, 3),
            within=draw.choice([None, None, 10]),
            attempt=draw.choice([None, None, 5]),
        )
        caught = w.catch(
            self.tasks(depth - 1, 1) if draw.random() < 0.7 else None,
            errors=draw.choice([None, None, {"status": 503}, {"type": ERRORS[0]}]),
            retry=draw.choice([None, policy]),
            when=draw.choice([None, None, "$error.status > 400"]),
        )
        return w.try_(name, self.tasks(depth - 1, 2), caught, self.common())
