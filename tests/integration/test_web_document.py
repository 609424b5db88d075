"""The OpenAPI document as somebody reads it who writes a program: an example of everything, and each right."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest

from callcore.erasure import Reports
from callcore.settings import Settings
from callcore.web import problems
from tests.support.floors import Desk
from tests.support.recorded import Empty
from tests.support.shelf import Shelf
from tests.support.web import DeskSource, served

SOUND = ("audio/", "application/zip")
"""Bytes: what they are is told by their types, and no text is an example of them."""
ANY = {"400", "408", "414", "421", "429", "431", "500"}
"""What any request may be answered, before or behind its route."""


@pytest.fixture
async def document(tmp_path: Path) -> dict[str, Any]:
    desk = Desk().begin()
    reports = Reports(Settings(home=tmp_path))
    async with (
        served(DeskSource(desk), calls=Shelf.of(desk), recordings=Empty(), erasures=reports) as server,
        httpx.AsyncClient() as client,
    ):
        answer = await client.get(f"{server.url}/api/v1/openapi.json", headers=server.machine)
        found: dict[str, Any] = answer.json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def contents(operation: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Where ("body", or the status), type and content of all that is sent and answered."""
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        yield "body", kind, content
    for status, answer in operation["responses"].items():
        for kind, content in answer.get("content", {}).items():
            yield status, kind, content


def strict(of: Any) -> Any:
    """The schema, and a field that it does not name is wrong."""
    if isinstance(of, list):
        return [strict(each) for each in of]
    if not isinstance(of, dict):
        return of
    whole = {name: strict(value) for name, value in of.items()}
    if isinstance(whole.get("properties"), dict):
        whole.setdefault("additionalProperties", False)
    return whole


def wrong(document: dict[str, Any]) -> list[str]:
    """Examples that are not there, or are none of their schema."""
    components, found = strict(document["components"]), []
    for name, operation in operations(document):
        for where, kind, content in contents(operation):
            if kind.startswith(SOUND):
                continue
            if "example" not in content:
                found.append(f"{name} {where} {kind}: none")
                continue
            schema = {**strict(content["schema"]), "components": components}
            validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
            found += [
                f"{name} {where}: {error.message}" for error in validator.iter_errors(content["example"])
            ]
    return found


async def test_every_request_and_answer_has_an_example_that_is_one_of_its_schema(
    document: dict[str, Any],
) -> None:
    assert len(list(operations(document))) > 50
    assert wrong(document) == []
    bodies = [name for name, operation in operations(document) if "requestBody" in operation]
    assert len(bodies) > 20
    for name, operation in operations(document):
        good = [answer["content"] for status, answer in operation["responses"].items() if status[0] == "2"]
        assert good and all(good), name


@pytest.mark.parametrize(
    "spoil",
    [
        lambda example: example.pop("agent"),
        lambda example: example.update(misses="none"),
        lambda example: example.update(colour="red"),
        lambda example: example.update(state="asleep"),
    ],
)
async def test_an_example_that_the_server_would_never_send_is_found(
    document: dict[str, Any], spoil: Any
) -> None:
    spoil(
        document["paths"]["/api/v1/agents/{agent}"]["get"]["responses"]["200"]["content"]["application/json"][
            "example"
        ]
    )
    assert len(wrong(document)) == 1


async def test_each_refusal_is_told_with_an_example_of_its_own_status(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        answers = operation["responses"]
        assert set(answers) >= ANY | {"403"}, name
        if operation["x-right"] != "anyone":
            assert set(answers) >= {"401", "503"}, name
        if "{" in name or operation.get("parameters"):
            assert "422" in answers, name
        if "requestBody" in operation:
            assert set(answers) >= {"413", "415", "422"}, name
        for status, answer in answers.items():
            if status[0] == "2" or (name, status) == ("GET /readyz", "503"):
                continue
            assert set(answer["content"]) == {problems.CONTENT_TYPE}, (name, status)
            assert answer["content"][problems.CONTENT_TYPE]["example"]["status"] == int(status), name
            assert answer["description"], name
