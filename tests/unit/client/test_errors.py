"""Each failure of gRPC becomes one error of ours, with a code, a category and something to do."""

from __future__ import annotations

import grpc
import grpc.aio
import pytest

import deedbook
from libs.client import errors, results
from libs.client.errors import BY_STATUS, DeedbookError, from_grpc
from libs.contracts.events import FailureCategory as Category
from libs.governance.remedies import remedy
from libs.runtime import rpc


def failed(status: grpc.StatusCode, text: str = "", code: str = "", category: str = "") -> grpc.aio.AioRpcError:
    said = [(rpc.CODE_KEY, code), (rpc.CATEGORY_KEY, category)] if code else []
    return grpc.aio.AioRpcError(status, grpc.aio.Metadata(), grpc.aio.Metadata(*said), text, None)


def test_every_status_code_is_mapped() -> None:
    assert set(BY_STATUS) == set(grpc.StatusCode) - {grpc.StatusCode.OK}


@pytest.mark.parametrize("status", list(BY_STATUS))
def test_every_failure_says_what_to_do(status: grpc.StatusCode) -> None:
    error = from_grpc(failed(status, "it went wrong"))
    assert type(error) is BY_STATUS[status]
    assert error.code and error.remedy
    assert error.reason == "it went wrong"
    assert str(error) == f"{error.code}: it went wrong. {error.remedy}"
    transient = isinstance(error, errors.Unavailable)
    assert (error.category is Category.TRANSIENT) == transient


def test_every_refusal_of_our_servers_keeps_its_code_and_category() -> None:
    kinds = [kind for kind in vars(rpc).values() if isinstance(kind, type) and issubclass(kind, rpc.Refusal)]
    assert len(kinds) >= 8
    for kind in kinds:
        said = kind()
        error = from_grpc(failed(said.status, said.text, said.code, str(said.category)))
        assert (error.code, error.category, error.reason) == (said.code, said.category, said.text)


def test_a_remedy_in_the_servers_text_is_not_said_twice() -> None:
    told = f"JSON at character 3. {remedy('JSON_SYNTAX')}"
    error = from_grpc(failed(grpc.StatusCode.INVALID_ARGUMENT, told, "JSON_SYNTAX", "PERMANENT"))
    assert (error.reason, error.remedy) == ("JSON at character 3.", remedy("JSON_SYNTAX"))
    assert from_grpc(failed(grpc.StatusCode.NOT_FOUND, "", "NEW_CODE", "NEW_CATEGORY")).category is Category.PERMANENT


@pytest.mark.requirement("K3")
def test_what_should_not_happen_says_by_which_trace_it_is_found_in_the_logs() -> None:
    trailing = grpc.aio.Metadata((rpc.CODE_KEY, "INTERNAL"), (rpc.TRACE_KEY, "0af7651916cd43dd8448eb211c80319c"))
    failure = grpc.aio.AioRpcError(grpc.StatusCode.INTERNAL, grpc.aio.Metadata(), trailing, "internal error", None)
    error = from_grpc(failure)
    told = "INTERNAL: internal error (trace id 0af7651916cd43dd8448eb211c80319c)."
    assert str(error) == f"{told} {remedy('INTERNAL')}"


def test_the_tree_is_as_drawn() -> None:
    drawn = errors.__doc__ or ""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, DeedbookError)]
    assert all(kind.__name__ in drawn for kind in kinds)
    assert len(kinds) == 12


def test_whoever_uses_the_sdk_needs_one_import() -> None:
    offered = {kind for module in (errors, results) for kind in vars(module).values() if isinstance(kind, type)}
    own = {kind.__name__ for kind in offered if kind.__module__ in (errors.__name__, results.__name__)}
    assert own <= set(deedbook.__all__)
    assert all(hasattr(deedbook, name) for name in deedbook.__all__)
