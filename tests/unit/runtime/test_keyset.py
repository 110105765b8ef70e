"""Keys are believed for a bounded time and looked for again within bounds; all wrong tokens hear the same (A3, T25)."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from libs.contracts.events import ActorKind, Principal
from libs.runtime import devkeys
from libs.runtime.authentication import Authenticator
from libs.runtime.keyset import PATIENCE_MS, KeySource, KeysUnreadable, check_source, read_document
from libs.runtime.rpc import Unauthenticated
from libs.runtime.settings import AuthSettings, SettingsError, StartRefused

pytestmark = [pytest.mark.requirement("A3"), pytest.mark.requirement("T25"), pytest.mark.requirement("X19")]

WHO = devkeys.Who("agent-1", "acme", "MACHINE", ("a1",), ("reader",))


class Clock:
    """Milliseconds that the test moves."""

    def __init__(self) -> None:
        self.ms = 1_000_000

    def __call__(self) -> int:
        return self.ms


def settings(folder: Path) -> AuthSettings:
    given = {name.removeprefix("DEED_").lower(): value for name, value in devkeys.variables(folder).items()}
    return AuthSettings(**given, jwks_cooldown_s=30, jwks_stale_max_s=100)  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    devkeys.ensure(tmp_path)
    return tmp_path


def header(folder: Path, **more: int) -> str:
    return f"Bearer {devkeys.mint(folder, WHO, **more)}"


def rotate(folder: Path) -> None:
    (folder / devkeys.KEY_FILE).unlink()
    devkeys.ensure(folder)


async def test_a_token_of_the_issuer_names_its_bearer(folder: Path) -> None:
    keys = KeySource(settings(folder))
    assert await keys.reload()
    found = (await Authenticator(keys)(header(folder))).speaks_for("any", b"")
    assert found == Principal("acme", "agent-1", ActorKind.MACHINE, ("a1",), ("reader",))


async def test_all_wrong_tokens_get_the_same_answer(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    keys = KeySource(settings(folder))
    await keys.reload()
    other = tmp_path_factory.mktemp("other")
    devkeys.ensure(other)
    good = header(folder)
    wrong = [
        "", "Bearer", "Bearer ", "Bearer x", "Basic YTpi", good.removeprefix("Bearer "), good + "x", good[:-2],
        header(other), header(folder, now_s=1), header(folder, lifetime_s=1_000_000), "Bearer " + "a." * 9000,
    ]  # fmt: skip
    said = set()
    for one in wrong:
        with pytest.raises(Unauthenticated) as error:
            await Authenticator(keys)(one)
        said.add((error.value.text, error.value.code))
    assert len(said) == 1


async def test_a_new_key_is_found_without_waiting_for_the_next_reading(folder: Path) -> None:
    clock = Clock()
    keys = KeySource(settings(folder), clock)
    await keys.reload()
    rotate(folder)
    clock.ms += 31_000
    assert (await Authenticator(keys)(header(folder))).speaks_for("any", b"").subject == "agent-1"


async def test_unknown_keys_do_not_make_us_read_more_often_than_the_cool_down(folder: Path) -> None:
    clock = Clock()
    keys = KeySource(settings(folder), clock)
    await keys.reload()
    rotate(folder)
    clock.ms += 29_000
    with pytest.raises(Unauthenticated):
        await Authenticator(keys)(header(folder))
    assert not await keys.look_again()
    clock.ms += 2_000
    assert await keys.look_again()
    assert not await keys.look_again()


async def test_who_cannot_wait_for_new_keys_may_come_again_for_a_moment(folder: Path) -> None:
    clock = Clock()
    keys = KeySource(settings(folder), clock)
    await keys.reload()
    before = keys.current()
    assert not keys.is_looking(), "it was read a moment ago"
    rotate(folder)
    clock.ms += 31_000
    assert keys.is_looking()
    assert keys.is_looking(), "it is still read"
    clock.ms += PATIENCE_MS
    assert not keys.is_looking(), "nobody waits for ever"
    while keys.current() == before:  # noqa: ASYNC110 - a file is read in a thread
        await asyncio.sleep(0)
    assert not keys.is_looking(), "not before the cool-down is over"
    await keys.stop()


async def test_the_last_good_set_is_believed_for_a_bounded_time(folder: Path) -> None:
    clock = Clock()
    keys = KeySource(settings(folder), clock)
    assert keys.readiness() == "the key set was not read yet"
    await keys.reload()
    token = header(folder)
    (folder / devkeys.JWKS_FILE).write_text("{ half a file")
    clock.ms += 100_000
    assert not await keys.reload()
    assert (await Authenticator(keys)(token)).speaks_for("any", b"").tenant == "acme"
    clock.ms += 1
    assert keys.readiness() == "the key set is too old"
    with pytest.raises(Unauthenticated):
        await Authenticator(keys)(token)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"keys": []}', '{"keys": {}}', "x" * 300_000, '{"keys": [{"kty": "oct", "k": "AAAA"}]}'],
)
async def test_a_process_does_not_start_without_a_key_set(folder: Path, content: str) -> None:
    (folder / devkeys.JWKS_FILE).write_text(content)
    with pytest.raises(StartRefused, match="DEED_JWKS"):
        await KeySource(settings(folder)).start()


@pytest.mark.parametrize(
    "source", ["http://issuer.example/jwks", "ftp://issuer/jwks", "file:///etc/jwks", "http://10.0.0.1/j"]
)
def test_keys_come_from_a_file_or_over_https(source: str) -> None:
    with pytest.raises(SettingsError, match="DEED_JWKS"):
        check_source(source)


def test_a_file_that_is_not_there_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(KeysUnreadable):
        read_document(str(tmp_path / "none.json"))


def test_the_private_key_is_its_owners_alone_and_stays(folder: Path) -> None:
    key = (folder / devkeys.KEY_FILE).read_bytes()
    assert (folder / devkeys.KEY_FILE).stat().st_mode & 0o077 == 0
    devkeys.ensure(folder)
    assert (folder / devkeys.KEY_FILE).read_bytes() == key
    (published,) = json.loads((folder / devkeys.JWKS_FILE).read_text())["keys"]
    assert "d" not in published


def test_a_published_key_set_is_never_seen_half_written(folder: Path) -> None:
    with (folder / devkeys.JWKS_FILE).open() as before:  # by a process that starts while another one does
        devkeys.ensure(folder)
        with (folder / devkeys.JWKS_FILE).open() as after:
            assert not os.path.sameopenfile(before.fileno(), after.fileno()), "written in place"
    assert {path.name for path in folder.iterdir()} == {devkeys.KEY_FILE, devkeys.JWKS_FILE}


def test_the_command_mints_a_token(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert devkeys.main([str(folder), "mint", "olga", "--tenant", "acme", "--kind", "HUMAN", "--role", "operator"]) == 0
    assert capsys.readouterr().out.count(".") == 2
