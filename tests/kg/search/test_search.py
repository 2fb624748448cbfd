"""Search finds by meaning, words and neighbourhood, and never what the detail path would deny (I10)."""

import random
from pathlib import Path

import pytest

from kg import search as search_module
from kg.embedders.hashing import HashingEmbedder
from kg.errors import InputError, OwnerGoneError, ShapeError
from kg.indexes.edge import EdgeIndex
from kg.model import Close, Link, Put
from kg.reader import Reader
from kg.search import search
from tests.kg.search.world import World, world
from tests.kg.views import RuleView
from tests.parts import OpenView

HIDING = RuleView(hide=lambda entity: entity.get("secret") is True)


@pytest.fixture
def small(tmp_path: Path) -> World:
    made = world(tmp_path)
    made.thing("bolt", "steel bolts M8 out of stock")
    made.thing("late", "delivery late to Hamburg", "Ticket", about="bolt")
    made.thing("truck", "truck broken down near Hamburg", "Ticket")
    made.thing("pass", "password reset for the portal", "Ticket")
    made.thing("hidden", "steel bolts secret price", about="bolt", secret=True)
    made.indexer.run()
    return made


def test_it_finds_words_meaning_and_neighbours(small: World) -> None:
    result = small.search("steel bolts")
    assert result.hits[0].entity.id in {"bolt", "hidden"}
    assert result.behind == 0
    assert result.fallback is None
    by_id = {hit.entity.id: hit for hit in result.hits}
    assert set(by_id["bolt"].why) >= {"dense", "bm25"}
    assert "graph" in by_id["late"].why, "the ticket about the bolts is near them"
    assert [hit.score for hit in result.hits] == sorted((hit.score for hit in result.hits), reverse=True)


def test_classes_narrow_and_include_those_below(small: World) -> None:
    assert set(small.ids("Hamburg bolts", classes=["Ticket"])) == {"late", "truck", "pass"}
    assert "bolt" in small.ids("Hamburg bolts", classes=["Thing"])
    with pytest.raises(ShapeError):
        small.ids("x", classes=["Nothing"])


def test_near_asks_for_the_neighbours_of_certain_entities(small: World) -> None:
    assert small.ids("", near=["bolt"]) == ["hidden", "late"]
    assert small.ids("", HIDING, near=["bolt"]) == ["late"]
    assert small.ids("", HIDING, near=["hidden"]) == [], "what is hidden has no neighbours to show"


def test_the_platforms_own_record_is_found_only_where_it_is_asked_for(small: World) -> None:
    small.write(Put("v1", "Verdict", {"reason": "steel bolts denied"}), Put("v2", "Verdict", {"reason": "other"}))
    assert small.indexer.run()
    assert "v1" not in {item.id for item in small.index.held()[0]}
    assert "v1" not in small.ids("steel bolts")
    result = small.search("steel bolts", classes=["Verdict"])
    assert [(hit.entity.id, hit.why) for hit in result.hits] == [("v1", ("text",))]
    assert result.fallback is None
    assert small.search("steel bolts", RuleView(hide=lambda e: e.cls == "Verdict"), classes=["Verdict"]).hits == ()
    both = small.ids("steel bolts", classes=["Verdict", "Thing"])
    assert {"v1", "bolt"} <= set(both)


def test_bad_questions_get_one_sentence(small: World) -> None:
    for asked in ({"text": "  "}, {"text": "x" * 2_001}, {"text": "x", "first": 0}, {"text": "x", "first": 501}):
        with pytest.raises(InputError):
            small.search(**asked)  # type: ignore[arg-type]


def test_hidden_entities_are_never_found_and_leave_no_trace_in_the_ranking(small: World, tmp_path: Path) -> None:
    bare = world(tmp_path / "bare") if (tmp_path / "bare").mkdir() is None else None
    assert bare is not None
    bare.thing("bolt", "steel bolts M8 out of stock")
    bare.thing("late", "delivery late to Hamburg", "Ticket", about="bolt")
    bare.thing("truck", "truck broken down near Hamburg", "Ticket")
    bare.thing("pass", "password reset for the portal", "Ticket")
    bare.indexer.run()
    for query in ("steel bolts secret price", "secret", "Hamburg", "bolts"):
        mine = [(h.entity.id, h.score, h.why) for h in small.search(query, HIDING).hits]
        assert mine == [(h.entity.id, h.score, h.why) for h in bare.search(query).hits], query
    classes = RuleView(hidden_classes=frozenset({"Ticket", "Thing"}))
    assert small.search("bolts", classes).hits == ()


@pytest.mark.parametrize("engine", [False, True])
def test_how_rare_a_word_is_among_what_is_hidden_moves_nothing(tmp_path: Path, engine: bool) -> None:
    told = []
    for many in ("steel", "zinc"):
        folder = tmp_path / many
        folder.mkdir()
        index = EdgeIndex(folder / "index", HashingEmbedder(64)) if engine else None
        made = world(folder, index)
        made.write(*[Put(f"h{n}", "Thing", {"title": f"{many} h{n}", "secret": True}) for n in range(9)])
        made.thing("one", "steel rods")
        made.thing("two", "zinc nails")
        made.thing("three", "steel zinc rails")
        made.indexer.run()
        stored = search(made.store, None, None, HIDING, made.ontology, "steel zinc")
        found = [made.search("steel zinc", HIDING), stored]
        told.append([[(hit.entity.id, hit.score, hit.why) for hit in one.hits] for one in found])
        made.index.close()
    assert told[0] == told[1]
    assert [hit[0] for hit in told[0][1]] == ["three", "one", "two"]


def test_hidden_entities_do_not_crowd_out_visible_ones(tmp_path: Path) -> None:
    made = world(tmp_path)
    made.write(*[Put(f"h{n:03}", "Thing", {"title": "zinc bolts", "secret": True}) for n in range(150)])
    made.thing("seen", "zinc bolts and much else besides")
    made.indexer.run()
    assert made.ids("zinc bolts", HIDING, first=5) == ["seen"]
    stored = search(made.store, None, None, HIDING, made.ontology, "zinc bolts", first=5)
    assert [hit.entity.id for hit in stored.hits] == ["seen"]


@pytest.mark.parametrize("engine", [False, True])
@pytest.mark.parametrize("hidden", [60, 300])
def test_no_hidden_text_and_no_hidden_neighbour_takes_a_visible_ones_place(
    tmp_path: Path, engine: bool, hidden: int
) -> None:
    """A list holds as many visible hits as it would without the hidden ones, so they move no score of a visible one."""
    told = []
    for many in (0, hidden):
        folder = tmp_path / str(many)
        folder.mkdir()
        index = EdgeIndex(folder / "index", HashingEmbedder(64)) if engine else None
        made = world(folder, index)
        made.thing("a-hub", "crate")
        for n in range(20):
            made.thing(f"seen{n:02}", f"zinc bolts and much else besides {'so ' * n}", about="a-hub")
        made.write(*[Put(f"h{n:03}", "Thing", {"title": "zinc bolts", "secret": True}) for n in range(many)])
        made.write(*[Link(f"h{n:03}", "about", "a-hub") for n in range(many)])
        made.indexer.run()
        stored = search(made.store, None, None, HIDING, made.ontology, "zinc bolts", first=5)
        found = [made.search("zinc bolts", HIDING, first=5), made.search("", HIDING, near=["a-hub"]), stored]
        told.append([[(hit.entity.id, hit.score, hit.why) for hit in one.hits] for one in found])
        made.index.close()
    assert told[0] == told[1]
    assert [len(one) for one in told[0]] == [5, 10, 5]


def test_an_entity_is_not_found_by_text_that_is_masked_for_the_reader(small: World) -> None:
    small.thing("m1", "visible word", note="confidential takeover plan")
    small.indexer.run()
    masking = RuleView(mask={"Thing": frozenset({"note"})})
    assert "m1" in small.ids("takeover plan")
    assert "m1" not in small.ids("takeover plan", masking)
    assert "m1" not in small.ids("visible takeover", masking), "nor ranked by it beside a visible word"
    plain = [h.entity for h in small.search("steel bolts", masking).hits if h.entity.id == "bolt"]
    assert plain, "where nothing is masked the entity is found as before"
    small.write(Link("m1", "about", "bolt"))
    near = [hit for hit in small.search("", masking, near=["bolt"]).hits if hit.entity.id == "m1"]
    assert near[0].entity.masked == {"note"}


def test_closed_entities_and_superseded_texts_are_not_found(small: World) -> None:
    small.write(Close("truck"))
    small.thing("pass", "something else entirely", "Ticket")
    small.thing("late", "delivery late to Hamburg", "Ticket", rank=3)
    assert "truck" not in small.ids("truck broken down")
    assert "pass" not in small.ids("password portal"), "its old text is not how it is found"
    late = [hit.entity for hit in small.search("delivery Hamburg").hits if hit.entity.id == "late"]
    assert late[0].version == 2, "the same text of an older version still finds the current one"
    assert small.search("bolts").behind == 3
    small.indexer.run()
    assert "pass" in small.ids("something else entirely")
    assert small.search("bolts").behind == 0


def test_whatever_search_returns_the_detail_path_gives_too(tmp_path: Path) -> None:
    """I10 as a differential: random rows, random rules, every hit equals what `get` gives."""
    noise = random.Random(11)
    made = world(tmp_path)
    words = ["bolt", "nut", "steel", "late", "truck", "Hamburg", "credit", "invoice"]
    for n in range(80):
        text = " ".join(noise.choices(words, k=4))
        note = {"note": noise.choice(words)} if n % 4 == 0 else {}
        made.thing(f"t{n:02}", text, about=f"t{noise.randrange(80):02}", secret=noise.random() < 0.4, rank=n, **note)
        if n % 7 == 0:
            made.indexer.run()
    views = [
        HIDING,
        RuleView(hide=lambda e: int(str(e.get("rank", 0))) % 3 == 0, mask={"Thing": frozenset({"note"})}),
        RuleView(mask={"Thing": frozenset({"title"})}, mask_if=lambda e: int(str(e.get("rank", 0))) % 2 == 0),
    ]
    for view in views:
        reader = Reader(made.store, view)
        for query in [*words, "steel bolt Hamburg", "late truck credit"]:
            hits = made.search(query, view, first=30).hits
            assert hits
            assert {h.entity.id: h.entity for h in hits} == reader.get([h.entity.id for h in hits])
            for hit in hits:
                if hit.why != ("graph",):
                    assert not hit.entity.masked & {"title", "note"}


def test_without_an_index_the_store_answers_and_says_so(small: World) -> None:
    for index, why in ((None, "no semantic index"), (_Gone(), "does not answer")):
        result = search(small.store, index, small.embedder, HIDING, small.ontology, "bolts")  # type: ignore[arg-type]
        assert [hit.entity.id for hit in result.hits][:1] == ["bolt"]
        assert "hidden" not in {hit.entity.id for hit in result.hits}
        assert result.fallback is not None
        assert result.fallback.startswith("store text search: ")
        assert why in result.fallback


def test_while_the_index_is_being_filled_the_store_answers(small: World) -> None:
    small.index.reset(small.index.info().mapping, "another run")
    result = small.search("bolts", HIDING)
    assert [hit.entity.id for hit in result.hits][:1] == ["bolt"]
    assert result.fallback == "store text search: the semantic index is being filled, 5 changes to go"
    assert result.behind == 5
    small.indexer.run()
    assert small.search("bolts").fallback is None


def test_another_model_is_never_mixed_in(small: World) -> None:
    other = HashingEmbedder(32)
    result = search(small.store, small.index, other, OpenView(), small.ontology, "bolts")
    assert "another embedding model" in str(result.fallback)
    assert result.hits


def test_without_an_embedder_words_still_count(small: World) -> None:
    result = search(small.store, small.index, None, OpenView(), small.ontology, "Hamburg")
    assert {hit.entity.id for hit in result.hits} >= {"late", "truck"}
    assert "no embedding model" in str(result.fallback)


def test_over_fetch_is_bounded(small: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    real = small.index.search_sparse

    def counted(text: str, classes: object, first: int) -> object:
        asked.append(first)
        return real(text, classes, first)  # type: ignore[arg-type]

    monkeypatch.setattr(small.index, "search_sparse", counted)
    monkeypatch.setattr(search_module, "LIST_MIN", 1)
    small.ids("steel", RuleView(hide=lambda entity: True), first=1)
    assert len(asked) <= 2


def test_over_the_real_engine(tmp_path: Path) -> None:
    index = EdgeIndex(tmp_path / "index", HashingEmbedder(64))
    made = world(tmp_path, index)
    made.thing("bolt", "steel bolts M8 out of stock")
    made.thing("late", "delivery late to Hamburg", "Ticket", about="bolt")
    made.thing("hidden", "steel bolts secret price", about="bolt", secret=True)
    made.indexer.run()
    assert made.ids("steel bolts", HIDING) == ["bolt", "late"]
    assert made.ids("bolts deliveries", HIDING, classes=["Ticket"]) == ["late"]
    index.close()


class _Gone:
    """An index whose owner has gone: every call fails as RemoteIndex would."""

    def __getattr__(self, name: str) -> object:
        def call(*_: object) -> object:
            raise OwnerGoneError

        return call
