"""What a language model's endpoint can do to us, over real HTTP: every failure ends in the result without it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import PlainTextResponse, Response

from mapper_ai.__main__ import main
from mapper_ai.core.profile import Profile, profile_records
from mapper_ai.core.suggest import suggest
from mapper_ai.llm.check import check
from mapper_ai.llm.colleague import Colleague
from mapper_ai.llm.errors import WORDS
from mapper_ai.llm.settings import Budget, LlmSettings, Price
from mapper_ai.services.sampling import read_samples
from mapper_ai.services.specs import read_spec
from mapspec import unapproved
from tests.llm_stub import Stub, completion, facts_of, picks, refusal, running_stub, task_of

ROOT = Path(__file__).resolve().parents[2]
GOLD = ROOT / "fixtures" / "gold" / "etsy_sage_invoice"
SPEC = ROOT / "mappings" / "clarity-freshbooks" / "order-to-invoice.yaml"
ORDERS = [
    ROOT / "fixtures" / "clarity" / f"order__{name}.json" for name in ("plain-card", "two-taxes", "line-discount")
]


@pytest.fixture
def stub() -> Iterator[Stub]:
    with running_stub(lambda body: "") as running:
        yield running


@pytest.fixture(scope="module")
def ends() -> tuple[Profile, Profile]:
    source, target = (profile_records(read_samples(GOLD / f"{name}.json")) for name in ("source", "target"))
    return source, target


@pytest.fixture
def settings(stub: Stub) -> Callable[..., LlmSettings]:
    def make(**more: Any) -> LlmSettings:
        return LlmSettings(
            **{"model": "stub", "base_url": stub.url, "cache": "", "retries": 0, "timeout_s": 5.0, **more}
        )

    return make


def first(target: str, candidates: dict[str, list[str]]) -> str:
    return min(candidates)


FAILURES: list[tuple[str, Callable[[], Response]]] = [
    ("refused", lambda: completion(None, refusal="I cannot help with that")),
    ("content-filter", lambda: completion("", finish="content_filter")),
    ("too-long", lambda: completion('{"t1":', finish="length")),
    ("not-json", lambda: completion("Of course! The best source is the buyer's name.")),
    ("not-fitting", lambda: completion('{"t1": {"choice": "z"}}')),
    ("empty", lambda: completion("")),
    ("empty", lambda: completion(None)),
    ("reasoning-only", lambda: completion("", reasoning_content="Let me think about it")),
    ("unauthorized", lambda: refusal(401, "Incorrect API key provided")),
    ("not-found", lambda: refusal(404, "The model does not exist")),
    ("rate-limit", lambda: refusal(429, "Rate limit reached")),
    ("server-error", lambda: refusal(503, "Overloaded")),
    ("bad-request", lambda: refusal(400, "This request is not to our liking")),
    ("server-error", lambda: PlainTextResponse("<html>gateway</html>", media_type="text/html")),
]


@pytest.mark.parametrize(
    ("kind", "answer"), FAILURES, ids=[f"{number}-{row[0]}" for number, row in enumerate(FAILURES)]
)
def test_every_failure_leaves_the_result_as_it_is_without_a_model(
    kind: str, answer: Callable[[], Response], stub: Stub, ends: tuple[Profile, Profile], settings: Any
) -> None:
    stub.answer = lambda body: answer()
    with Colleague(settings()) as colleague:
        assert colleague.rank(*ends) == suggest(*ends)
        told = colleague.tally
    assert {row.trouble for row in told.outcomes} <= {kind, "stopped"}
    assert kind in {row.trouble for row in told.outcomes}
    lines = told.lines(colleague.settings)
    assert any(WORDS[kind] in line and "the result without it stands" in line for line in lines)  # type: ignore[index]
    assert not any("no match" in line for line in lines)


def test_no_answer_in_time_and_nobody_there_are_told_apart(stub: Stub, ends: Any, settings: Any) -> None:
    import threading

    waiting = threading.Event()
    stub.answer = lambda body: str(waiting.wait(0.5))
    with Colleague(settings(timeout_s=0.1, parallel=1, controls=0, batch=20)) as colleague:
        assert colleague.rank(*ends) == suggest(*ends)
    assert {row.trouble for row in colleague.tally.outcomes} == {"timeout"}
    waiting.set()
    for url in ("http://127.0.0.1:9/v1", "http://nobody.invalid/v1"):
        with Colleague(settings(base_url=url, parallel=1)) as colleague:
            assert colleague.rank(*ends) == suggest(*ends)
        kinds = [row.trouble for row in colleague.tally.outcomes]
        assert kinds[0] == "unreachable" and set(kinds[1:]) == {"stopped"}


def test_none_of_them_is_an_answer_and_no_failure(stub: Stub, ends: Any, settings: Any) -> None:
    stub.answer = lambda body: picks(lambda target, candidates: "none", body)
    with Colleague(settings()) as colleague:
        colleague.rank(*ends)
    assert all(row.trouble is None and all(not one.sources for one in row.value) for row in colleague.tally.outcomes)


def test_a_wrong_answer_is_sent_back_once_with_its_error(stub: Stub, ends: Any, settings: Any) -> None:
    def answer(body: dict[str, Any]) -> str:
        return picks(first, body) if len(body["messages"]) > 2 else '{"t1": {"choice": "zz"}}'

    stub.answer = answer
    with Colleague(settings(parallel=1)) as colleague:
        colleague.rank(*ends)
    assert all(row.trouble is None and row.tries == 2 for row in colleague.tally.outcomes)
    again = [body for body in stub.bodies if len(body["messages"]) > 2]
    assert all("That does not work: t" in body["messages"][-1]["content"] for body in again)
    assert "on the second try" in colleague.tally.lines(colleague.settings)[0]


@pytest.mark.parametrize("mode", ["tools", "json_object", "plain"])
def test_an_endpoint_without_schemas_is_met_halfway(mode: str, stub: Stub, ends: Any, settings: Any) -> None:
    def answer(body: dict[str, Any]) -> Response | str:
        held = body.get("response_format", {}).get("type") or ("tools" if "tools" in body else "plain")
        if held != mode:
            return refusal(400, f"'response_format' of type {held} or tool is not supported")
        text = picks(first, body)
        if mode == "tools":
            call = {"id": "1", "type": "function", "function": {"name": task_of(body), "arguments": text}}
            return completion(None, finish="tool_calls", tool_calls=[call])
        return f"Here you are:\n```json\n{text}\n```"

    stub.answer = answer
    with Colleague(settings(parallel=1)) as colleague:
        colleague.rank(*ends)
    assert all(row.trouble is None for row in colleague.tally.outcomes)
    refused = sum(1 for body in stub.bodies if body.get("response_format", {}).get("type") == "json_schema")
    assert refused == 1


def test_parameters_an_endpoint_refuses_are_put_another_way(stub: Stub, ends: Any, settings: Any) -> None:
    def answer(body: dict[str, Any]) -> Response | str:
        for name in ("max_tokens", "temperature", "seed"):
            if name in body:
                more = " Use 'max_completion_tokens' instead." if name == "max_tokens" else ""
                return refusal(400, f"Unsupported parameter: '{name}' is not supported with this model.{more}")
        if "maxLength" in json.dumps(body["response_format"]):
            return refusal(400, "Invalid schema: 'maxLength' is not permitted")
        return picks(first, body)

    stub.answer = answer
    with Colleague(settings(parallel=1)) as colleague:
        colleague.rank(*ends)
    assert all(row.trouble is None for row in colleague.tally.outcomes)
    assert len(stub.bodies) == len(colleague.tally.outcomes) + 4


def test_the_schema_is_in_the_common_subset(stub: Stub, ends: Any, settings: Any) -> None:
    stub.answer = lambda body: picks(first, body)
    with Colleague(settings()) as colleague:
        colleague.rank(*ends)

    def walk(value: Any) -> None:
        if isinstance(value, list):
            for part in value:
                walk(part)
        if isinstance(value, dict):
            assert not value.keys() & {"oneOf", "allOf", "default", "const", "patternProperties", "discriminator"}
            if value.get("type") == "object":
                assert value["additionalProperties"] is False
                assert value["required"] == list(value["properties"])
            for part in value.values():
                walk(part)

    for body in stub.bodies:
        held = body["response_format"]["json_schema"]
        assert held["strict"] is True
        walk(held["schema"])
        assert body["max_tokens"] <= 400


def test_the_same_question_is_not_paid_twice(stub: Stub, ends: Any, settings: Any, tmp_path: Path) -> None:
    stub.answer = lambda body: picks(first, body)
    results = []
    for _ in range(2):
        with Colleague(settings(cache=str(tmp_path / "c" / "llm.duckdb"))) as colleague:
            results.append(colleague.rank(*ends))
    assert results[0] == results[1]
    assert len(stub.bodies) == len(colleague.tally.outcomes)
    assert colleague.tally.spent.total == 0 and all(row.cached for row in colleague.tally.outcomes)
    with Colleague(settings(cache=str(tmp_path / "c" / "llm.duckdb"), model="other")) as colleague:
        colleague.rank(*ends)
    assert not any(row.cached for row in colleague.tally.outcomes)


def test_a_cache_that_cannot_be_used_costs_no_answer(stub: Stub, ends: Any, settings: Any, tmp_path: Path) -> None:
    import duckdb

    path = tmp_path / "other.duckdb"
    with duckdb.connect(str(path)) as other:
        other.execute("create table answer (something integer)")
    stub.answer = lambda body: picks(first, body)
    with Colleague(settings(cache=str(path))) as colleague:
        colleague.rank(*ends)
    assert all(row.trouble is None for row in colleague.tally.outcomes)
    told: list[str] = []
    with Colleague(settings(cache=str(tmp_path)), tell=told.append):
        assert "answers are not kept" in told[0]


def test_a_budget_stops_politely(stub: Stub, ends: Any, settings: Any) -> None:
    # An endpoint that does not say what it used: that is estimated.
    stub.answer = lambda body: completion(picks(first, body), usage=False)
    with Colleague(settings(budget=Budget(tokens=5_000))) as colleague:
        colleague.rank(*ends)
    kinds = [row.trouble for row in colleague.tally.outcomes]
    assert "budget" in kinds and None in kinds
    assert 1_000 < colleague.tally.spent.total <= 5_000
    price = {"stub": Price(input=Decimal(1000), output=Decimal(1000))}
    stub.bodies.clear()
    with Colleague(settings(budget=Budget(cost=Decimal("0.5")), prices=price)) as colleague:
        assert colleague.rank(*ends) == suggest(*ends)
    assert stub.bodies == []


def test_parallel_questions_wait_for_what_others_leave_of_a_budget(stub: Stub, ends: Any, settings: Any) -> None:
    stub.answer = lambda body: picks(first, body)
    with Colleague(settings(budget=Budget(tokens=3_000), parallel=4)) as colleague:
        colleague.rank(*ends)
    # What one may take at most is most of the budget, what it takes is 120.
    assert len(colleague.tally.outcomes) > 4
    assert all(row.trouble is None for row in colleague.tally.outcomes)


def test_before_asking_it_says_how_much_and_what_leaves(stub: Stub, ends: Any, settings: Any) -> None:
    stub.answer = lambda body: picks(first, body)
    told: list[str] = []
    price = {"stub": Price(input=Decimal("0.15"), output=Decimal("0.6"))}
    with Colleague(settings(prices=price), tell=told.append) as colleague:
        colleague.rank(*ends)
    assert "targets are in doubt" in told[0] and "USD" in told[0]
    assert "no record does" in told[1]
    assert "USD" in colleague.tally.lines(colleague.settings)[0]


def test_one_question_a_candidate_for_small_models(stub: Stub, ends: Any, settings: Any) -> None:
    def answer(body: dict[str, Any]) -> str:
        row = facts_of(body)["targets"][0]
        source = row["candidates"]["a"]["from"][0]["field"]
        return json.dumps({"fits": "yes" if source[:3] == row["target"]["field"][:3] else "no", "sure": "high"})

    stub.answer = answer
    with Colleague(settings(ask="candidate")) as colleague:
        colleague.rank(*ends)
    assert all(len(facts_of(body)["targets"][0]["candidates"]) == 1 for body in stub.bodies)
    assert all(row.trouble is None for row in colleague.tally.outcomes)


def test_check_tells_what_is_enforced(stub: Stub, settings: Any) -> None:
    def answer(body: dict[str, Any]) -> Response | str:
        held = body.get("response_format", {}).get("type")
        poem = "poem" in body["messages"][1]["content"]
        if held == "json_schema":
            return '{"colour": "blue", "sure": "high"}'
        if "tools" in body:
            return refusal(400, "tools are not supported")
        return "The sea, the sea" if poem or held == "json_object" else '{"colour": "green", "sure": "low"}'

    stub.answer = answer
    found = check(settings())
    ways = {way.held: (way.works, way.enforced) for way in found.ways}
    assert ways == {
        "json_schema": (True, True),
        "tools": (False, None),
        "json_object": (False, None),
        "plain": (True, None),
    }
    assert (found.best, found.server, found.listed) == ("json_schema", "vLLM", True)
    stub.answer = lambda body: (
        "The sea" if "poem" in body["messages"][1]["content"] else '{"colour":"blue","sure":"low"}'
    )
    assert {way.enforced for way in check(settings()).ways if way.held == "json_schema"} == {False}
    for status, failure in ((401, "unauthorized"), (429, "rate-limit"), (503, "server-error")):
        stub.answer = lambda body, status=status: refusal(status, "no")
        found = check(settings())
        assert (found.failure, found.best) == (failure, None)


# --- the tasks on a spec ---


def orders() -> list[dict[str, Any]]:
    return [record for path in ORDERS for record in read_samples(path)]


def test_steps_must_hold_on_types_samples_and_contract(stub: Stub, settings: Any) -> None:
    spec = read_spec(SPEC).spec
    replies = iter([
        {"steps": [{"op": "path", "path": "orderNumber"}, {"op": "add", "number": "1"}], "why": "adds one"},
        {"steps": [{"op": "path", "path": "orderNumber"}, {"op": "trim"}], "why": "the number"},
    ])  # fmt: skip
    stub.answer = lambda body: json.dumps(next(replies))
    with Colleague(settings(), orders()) as colleague:
        offer = colleague.write_steps(spec, "invoice.po_number", "the order number without blanks")
    assert offer.value is not None and offer.tries == 2
    assert [step.name for step in offer.value.rule.steps] == ["path", "trim"]
    assert "That does not work" in stub.bodies[1]["messages"][-1]["content"]
    stub.answer = lambda body: json.dumps({"steps": [{"op": "const", "value": "x" * 60}], "why": ""})
    with Colleague(settings(), orders()) as colleague:
        offer = colleague.propose_steps(spec, "invoice.currency_code", ["currency"])
    assert offer.value is None and offer.trouble == "not-fitting"


def test_unknown_operations_and_paths_are_dropped_and_counted(stub: Stub, settings: Any) -> None:
    spec = read_spec(SPEC).spec
    for step in (
        {"op": "eval", "code": "1"},
        {"op": "path", "path": "/etc/passwd"},
        {"op": "step_output", "of": "client.id"},
    ):
        stub.answer = lambda body, step=step: json.dumps({"steps": [step], "why": ""})
        with Colleague(settings(), orders()) as colleague:
            assert colleague.propose_steps(spec, "invoice.po_number").trouble == "not-fitting"


def test_checks_only_add_and_must_let_the_samples_pass(stub: Stub, settings: Any) -> None:
    spec = read_spec(SPEC).spec
    part = next(part for part, rule in spec.rules().items() if rule.check and part.startswith("client."))
    old = spec.rules()[part].check
    stub.answer = lambda body: json.dumps({"checks": [{"check": "max_length", "value": 1}], "why": ""})
    with Colleague(settings(), orders()) as colleague:
        assert colleague.propose_checks(spec, part).value is None
    twice = [{"check": "max_length", "value": length} for length in (200, 300)]
    stub.answer = lambda body: json.dumps({"checks": twice, "why": "short"})
    with Colleague(settings(), orders()) as colleague:
        offer = colleague.propose_checks(spec, part).value
    assert offer is not None and offer.rule.check[: len(old)] == old and len(offer.rule.check) == len(old) + 1


def test_a_combination_or_none(stub: Stub, settings: Any) -> None:
    spec = read_spec(SPEC).spec
    names = ["customer.firstName", "customer.lastName"]
    stub.answer = lambda body: json.dumps({"how": "join", "sources": names, "why": "the name"})
    with Colleague(settings(), orders()) as colleague:
        offer = colleague.propose_combination(spec, "client.organization").value
        assert offer is not None and offer != "none"
        assert offer.rule.steps[0].name == "join"
        stub.answer = lambda body: json.dumps({"how": "none", "sources": [], "why": "nothing"})
        assert colleague.propose_combination(spec, "client.fax").value == "none"


def test_words_and_summary(stub: Stub, settings: Any) -> None:
    old = read_spec(SPEC).spec
    rule = old.fields["invoice.po_number"]
    new = old.model_copy(
        update={"fields": {**old.fields, "invoice.po_number": rule.model_copy(update={"required": True})}}
    )
    stub.answer = lambda body: json.dumps({"sentence": "It is the\x1b[31m order's number.\n"})
    with Colleague(settings(), orders()) as colleague:
        assert colleague.explain(old, "invoice.po_number").value == "It is the [31m order's number."
        assert colleague.summarise(old, old) is None
        stub.answer = lambda body: json.dumps(
            {"summary": "The PO number is required.", "risks": [{"part": "invoice.po_number", "why": "may be empty"}]}
        )
        told = colleague.summarise(old, new)
    assert told is not None and told.value is not None
    assert told.value.risks == (("invoice.po_number", "may be empty"),)


# --- the command line ---


def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str, *words: str, **env: str) -> int:
    config = tmp_path / "mapper.toml"
    config.write_text('[llm]\nmodel = "stub"\ncache = ""\nretries = 0\n', "utf-8")
    for name, value in {"MAPPER_CONFIG": str(config), "OPENAI_BASE_URL": url, **env}.items():
        monkeypatch.setenv(name, value)
    return main(list(words))


def test_suggest_with_a_model_says_what_it_did(
    stub: Stub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stub.answer = lambda body: picks(first, body)
    ends = ("--source", str(GOLD / "source.json"), "--target", str(GOLD / "target.json"))
    code = run(monkeypatch, tmp_path, stub.url, "suggest", *ends, "--json", "-", "--llm", "--llm-values", "none")
    shown = capsys.readouterr()
    assert code == 0 and json.loads(shown.out)
    assert "targets are in doubt" in shown.err and "question(s) answered" in shown.err
    assert "for_example" not in json.dumps(stub.bodies)


def test_a_spec_with_a_model_is_approved_by_nobody(
    stub: Stub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(body: dict[str, Any]) -> str:
        if "targets" in facts_of(body):
            return picks(first, body)
        return json.dumps({"how": "none", "sources": [], "why": ""})

    stub.answer = answer
    out = tmp_path / "made.yaml"
    ends = ("--source", str(GOLD / "source.json"), "--target", "freshbooks:invoice")
    run(monkeypatch, tmp_path, stub.url, "suggest", *ends, "--spec", str(out), "--llm", "--accept-at", "0.9")
    spec = read_spec(out).spec
    waiting = {row.part for row in unapproved(spec)}
    origins = {part: rule.origin for part, rule in spec.rules().items() if rule.origin is not None}
    swayed = {part for part, one in origins.items() if one.by == "llm" or one.why.get("llm", "").startswith("+")}
    assert swayed <= waiting
    capsys.readouterr()


def test_without_a_key_the_result_without_a_model_stands(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    ends = ("--source", str(GOLD / "source.json"), "--target", str(GOLD / "target.json"))
    assert run(monkeypatch, tmp_path, "", "suggest", *ends, "--llm") == 0
    assert "OPENAI_API_KEY is not set" in capsys.readouterr().err


def test_llm_commands(
    stub: Stub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stub.answer = lambda body: '{"colour": "blue", "sure": "high"}'
    assert run(monkeypatch, tmp_path, stub.url, "llm", "check") == 0
    assert "json_schema  enforced" in capsys.readouterr().out
    stub.answer = lambda body: json.dumps({"steps": [{"op": "path", "path": "orderNumber"}], "why": "the number"})
    words = ("llm", "steps", str(SPEC), "invoice.po_number", "the order's number", "--samples", str(ORDERS[0]))
    assert run(monkeypatch, tmp_path, stub.url, *words) == 0
    assert "- {path: orderNumber}" in capsys.readouterr().out
    stub.answer = lambda body: json.dumps({"sentence": "It is the number."})
    assert run(monkeypatch, tmp_path, stub.url, "llm", "explain", str(SPEC), "invoice.po_number") == 0
    assert run(monkeypatch, tmp_path, stub.url, "llm", "explain", str(SPEC), "invoice.nonsense") == 3
    assert run(monkeypatch, tmp_path, stub.url, "llm", "summary", str(SPEC), str(SPEC)) == 0
    stub.answer = lambda body: refusal(401, "no")
    assert run(monkeypatch, tmp_path, stub.url, "llm", "check") == 1
    assert "check OPENAI_API_KEY" in capsys.readouterr().err
