"""Guessing ids and times: an id that is not there and one that may not be seen take the same road and get the same answer."""

from typing import Any

import pytest

from api.graphql.ids import global_id
from api.platform import Noesis
from governance.dossier import gather
from governance.errors import DossierError
from kg.errors import InputError
from kg.lineage import why
from kg.reader import Reader
from tests.api.client import Client
from tests.api.parts import customer, key, write
from tests.leaks.asks import NOW
from tests.leaks.worlds import IDS, make, project, words
from tests.oracles.graph import DictStore
from tests.parts import ManualClock
from tests.redteam.words import guesses

HIDDEN, ABSENT = "customer0777", "customer0778"


class Counting:
    """A store that notes which calls were made of it."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls.append(name)
            return found(*args, **kwargs)

        return call


@pytest.fixture
def shop(platform: Noesis) -> Client:
    write(platform.store, platform.clock, customer(777, number="H-1", name="Hidden House"))
    return Client(platform, key(platform, 'Service::"shop"'))


@pytest.mark.parametrize(
    "query", ['{ customer(id: "ID") { name orders { totalCount { count } } } }', *guesses("customer")]
)
def test_an_id_that_is_hidden_answers_like_one_that_is_not_there(shop: Client, query: str) -> None:
    answers = []
    for id in (HIDDEN, ABSENT):
        shown = global_id("Customer", id)
        text = shop.post(query.replace("ID", shown)).text
        answers.append(text.replace(shown, "ID").replace(id, "ID"))
    assert answers[0] == answers[1]


def test_both_take_the_same_road_through_the_store() -> None:
    compared = 0
    for seed in range(12):
        world = make(seed)
        store = world.fill(DictStore(words(), ManualClock()))
        hidden = [id for id in IDS if store.get([id]) and id not in project(world, store)]
        for id in hidden[:2]:
            roads = []
            for asked in (id, "nobody"):
                counting: Any = Counting(store)
                view = world.view()
                assert Reader(counting, view).get([asked]) == {}
                assert Reader(counting, view).expand([asked], "buyer") == {asked: []}
                said = ""
                try:
                    why(counting, view, asked)
                except InputError as error:
                    said = str(error).replace(asked, "ID")
                roads.append(([c for c in counting.calls if c != "history"], said))
            assert roads[0] == roads[1]
            compared += 1
    assert compared > 5


def test_a_report_on_what_is_hidden_says_what_one_on_nothing_says() -> None:
    said = set()
    world = make(3)
    store = world.fill(DictStore(words(), ManualClock()))
    for id in [*[i for i in IDS if i not in project(world, store)][:3], "nobody"]:
        with pytest.raises(DossierError) as caught:
            gather(store, world.view(), id, NOW)
        said.add(str(caught.value).replace(id, "ID"))
    assert len(said) == 1
