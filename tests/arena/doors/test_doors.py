"""The doors: who may enter which room, how one logs in, and what strangers are not told."""

from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena.accounts import Role
from arena.app import create_app
from arena.doors import needed_role, notices, own_path
from arena.settings import Settings

PASSWORD = "four words in a row"
PERSON = {"accept": "text/html,application/xhtml+xml"}
RESULTS = [
    "/dashboard/",
    "/gallery/",
    "/gallery/image/1",
    "/api/board/first?raters=people",
    "/metrics/",
    "/api/metrics/first?raters=people",
]
# Everything that a Gradio page's script and its queue ask for.
BEHIND_THE_DASHBOARD = [
    "/dashboard",
    "/dashboard/theme.css",
    "/dashboard/assets/index.js",
    "/dashboard/static/img/logo.svg",
    "/dashboard/gradio_api/heartbeat/x",
    "/dashboard/gradio_api/startup-events",
    "/dashboard/gradio_api/queue/data?session_hash=x",
]
EVENT_POSTS = ["gradio_api/queue/join", "gradio_api/cancel", "gradio_api/reset"]


@pytest.fixture
def stranger(closed_site: Any) -> httpx.Client:
    client: httpx.Client = closed_site.visit()
    return client


@pytest.mark.parametrize(
    ("path", "role"),
    [
        ("/", Role.RATER),
        ("/rate", Role.RATER),
        ("/rate/api/vote", Role.RATER),
        ("/assets/house.css", Role.RATER),
        ("/login", Role.RATER),
        ("/dashboard/gradio_api/queue/join", Role.RESEARCHER),
        ("/gallery/image/1", Role.RESEARCHER),
        ("/api/board/first", Role.RESEARCHER),
        ("/rates", Role.RESEARCHER),
        ("/assets2", Role.RESEARCHER),
        ("//rate", Role.RESEARCHER),
        ("/anything-new", Role.RESEARCHER),
        ("/metrics/", Role.RESEARCHER),
        ("/api/metrics/first", Role.RESEARCHER),
        ("/admin", Role.ADMIN),
        ("/admin/reports/", Role.ADMIN),
        ("/admin/gradio_api/queue/join", Role.ADMIN),
    ],
)
def test_an_address_that_is_not_named_open_needs_a_role(path: str, role: Role) -> None:
    assert needed_role(path) is role


@pytest.mark.parametrize(
    "path", RESULTS + BEHIND_THE_DASHBOARD + ["/admin", "/admin/", "/admin/reports/", "/nowhere", "/openapi.json"]
)
def test_strangers_get_nothing_but_that_they_must_log_in(stranger: httpx.Client, path: str) -> None:
    answer = stranger.get(path)

    assert answer.status_code == 401
    assert answer.json() == {"error": "Log in first: this address is not open to everyone."}
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("path", EVENT_POSTS)
def test_strangers_start_no_events(stranger: httpx.Client, path: str) -> None:
    answer = stranger.post(f"/dashboard/{path}", json={"data": [], "fn_index": 0, "session_hash": "x"})

    assert answer.status_code == 401


@pytest.mark.parametrize("path", ["/", "/rate/", "/rate/theme.css", "/assets/house.css", "/login", "/healthz"])
def test_raters_need_no_account(stranger: httpx.Client, path: str) -> None:
    assert stranger.get(path).status_code == 200


def test_people_are_shown_the_way_in_and_back(stranger: httpx.Client) -> None:
    answer = stranger.get("/gallery/?study=first&page=2", headers=PERSON)

    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=%2Fgallery%2F%3Fstudy%3Dfirst%26page%3D2"
    assert answer.headers["cache-control"] == "no-store"


def test_a_researcher_reads_results_and_does_not_administer(closed_site: Any) -> None:
    client = closed_site.log_in("rosa")

    answers = {path: client.get(path).status_code for path in ("/gallery/", "/dashboard/", "/dashboard/theme.css")}
    refused, for_people = client.get("/admin"), client.get("/admin", headers=PERSON)

    assert set(answers.values()) == {200}
    assert client.get("/api/board/first?raters=people").status_code == 404
    assert (refused.status_code, for_people.status_code) == (403, 403)
    assert refused.json() == {"error": "This needs the role admin; you are here as rosa, researcher."}
    assert "<h1>" in for_people.text


def test_an_admin_enters_everywhere(closed_site: Any) -> None:
    client = closed_site.log_in("adam")

    assert client.get("/gallery/").status_code == 200
    assert client.get("/admin/none-such").status_code not in (401, 403)


def test_admins_find_the_administration_and_researchers_do_not_see_it(closed_site: Any) -> None:
    admin, researcher = closed_site.log_in("adam"), closed_site.log_in("rosa")

    for path in ("/login", "/metrics/", "/admin/"):
        assert '<a href="/admin/"' in admin.get(path).text
    for path in ("/login", "/metrics/", "/gallery/", "/"):
        assert "/admin" not in researcher.get(path).text


def test_reports_are_for_admins(closed_site: Any) -> None:
    admin, researcher = closed_site.log_in("adam"), closed_site.log_in("rosa")

    assert admin.get("/admin/reports/?study=nothing").status_code == 404
    assert researcher.get("/admin/reports/?study=nothing").status_code == 403


def test_logging_in_leads_to_where_one_wanted_to_go(closed_site: Any) -> None:
    client = closed_site.visit()

    form = client.get("/login?next=/gallery/%3Fstudy%3Dfirst")
    sent = {"name": " Rosa", "password": PASSWORD, "next": "/gallery/?study=first"}
    answer = client.post("/login", data=sent)

    assert 'value="/gallery/?study=first"' in form.text
    assert (answer.status_code, answer.headers["location"]) == (303, "/gallery/?study=first")
    cookie = answer.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=lax", "Path=/", "Max-Age=43200"))
    assert "Secure" not in cookie


def test_logging_out_ends_the_session_in_the_browser(closed_site: Any) -> None:
    client = closed_site.log_in("rosa")
    page = client.get("/login").text

    answer = client.post("/logout")

    assert "rosa" in page
    assert 'action="/logout"' in page
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert client.get("/gallery/").status_code == 401
    assert client.get("/logout").status_code == 405


def test_behind_tls_the_session_never_travels_in_the_clear(open_site: Any) -> None:
    site = open_site(cookie_secure=True)
    site.add("rosa", Role.RESEARCHER)

    answer = site.visit().post("/login", data={"name": "rosa", "password": PASSWORD})

    assert "Secure" in answer.headers["set-cookie"]


def test_an_unknown_name_is_refused_in_the_same_words(closed_site: Any) -> None:
    answers = [
        closed_site.visit().post("/login", data={"name": name, "password": "not the password"})
        for name in ("rosa", "nobody", "petra")
    ]

    texts = {
        answer.text.replace(name, "NAME") for answer, name in zip(answers, ("rosa", "nobody", "petra"), strict=True)
    }
    assert [answer.status_code for answer in answers] == [401] * 3
    assert len(texts) == 1
    assert 'role="alert"' in texts.pop()
    assert not any("set-cookie" in answer.headers for answer in answers)


def test_what_was_typed_is_shown_as_text_and_the_password_never(closed_site: Any) -> None:
    evil = '"><script>alert(1)</script>'

    page = closed_site.visit().post("/login", data={"name": evil, "password": "a secret thing", "next": evil}).text

    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "a secret thing" not in page


def test_a_removed_account_and_a_new_password_end_sessions_at_once(closed_site: Any) -> None:
    closed_site.add("gone", Role.RESEARCHER)
    closed_site.add("new", Role.ADMIN)
    removed, renewed = closed_site.log_in("gone"), closed_site.log_in("new")

    closed_site.accounts.remove("gone")
    closed_site.add("new", Role.ADMIN, password="another row of words")

    assert removed.get("/gallery/").status_code == 401
    assert renewed.get("/gallery/").status_code == 401


def test_a_changed_role_counts_at_once(closed_site: Any) -> None:
    from dataclasses import replace

    closed_site.add("risen", Role.RESEARCHER)
    client = closed_site.log_in("risen")
    before = client.get("/admin").status_code

    closed_site.accounts.add(replace(closed_site.accounts.find("risen"), role=Role.ADMIN), replace=True)

    assert before == 403
    assert client.get("/admin").status_code not in (401, 403)


@pytest.mark.parametrize("value", ["", "x", "WyJhZGFtIiwiIl0.aaaa.bbbb"])
def test_a_forged_session_is_nobodys(closed_site: Any, value: str) -> None:
    answer = closed_site.visit().get("/gallery/", headers={"cookie": f"arena_account={value}"})

    assert answer.status_code == 401


def test_a_raters_cookie_opens_no_door(closed_site: Any) -> None:
    from starlette.responses import Response

    from arena.cookies import RaterCookie

    answer = Response()
    RaterCookie(closed_site.settings.secret, secure=False).write(answer, 1)
    sealed = answer.headers["set-cookie"].partition(";")[0].partition("=")[2]

    assert closed_site.visit().get("/gallery/", headers={"cookie": f"arena_account={sealed}"}).status_code == 401


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b'{"name": "rosa"}', 415),
        ("multipart/form-data; boundary=x", b"--x--", 415),
        ("application/x-www-form-urlencoded", b"name=\xff\xfe", 422),
        ("application/x-www-form-urlencoded", b"a=1&" * 50, 422),
        ("application/x-www-form-urlencoded", b"", 401),
        ("application/x-www-form-urlencoded", b"name=" + b"x" * 50_000, 401),
        ("application/x-www-form-urlencoded", b"name=" + b"x" * 70_000, 413),
        ("application/x-www-form-urlencoded", b"name=rosa&password=%00%ff", 401),
    ],
)
def test_a_form_that_is_none_gets_its_own_refusal(
    closed_site: Any, content_type: str, body: bytes, status: int
) -> None:
    answer = closed_site.visit().post("/login", content=body, headers={"content-type": content_type})

    assert answer.status_code == status


def test_another_site_cannot_log_anyone_in_or_out(closed_site: Any) -> None:
    client = closed_site.visit(headers={"origin": "https://elsewhere.example"})

    logged_in = client.post("/login", data={"name": "rosa", "password": PASSWORD})

    assert (logged_in.status_code, client.post("/logout").status_code) == (403, 403)


ELSEWHERE = [
    "https://elsewhere.example/",
    "//elsewhere.example",
    "/\\elsewhere.example",
    "\\\\elsewhere.example",
    "/\t/elsewhere.example",
    "/\n/elsewhere.example",
    " //elsewhere.example",
    "javascript:alert(1)",
    "gallery/",
    "",
    "/" + "x" * 1001,
    "/gallery/\r\nset-cookie: a=b",
    "/gäste",
]


@pytest.mark.parametrize("address", ELSEWHERE)
def test_logging_in_leads_to_no_other_site(closed_site: Any, address: str) -> None:
    sent = {"name": "rosa", "password": PASSWORD, "next": address}

    answer = closed_site.visit().post("/login", data=sent)

    assert (answer.status_code, answer.headers["location"]) == (303, "/")


@given(st.text(alphabet="/\\:.@?#&=%\t\n\r aexmplhts", max_size=12))
def test_whatever_is_a_path_of_ours_stays_here(text: str) -> None:
    path = own_path(text)

    assert path.startswith("/")
    assert not path.startswith(("//", "/\\"))
    assert httpx.URL("http://arena.example/login").join(path).host == "arena.example"


def test_too_many_tries_from_an_address_or_at_a_name_are_slowed(open_site: Any) -> None:
    site = open_site(rate_logins="2/minute")
    site.add("rosa", Role.RESEARCHER)

    def tries(address: str, *names: str) -> list[int]:
        client = site.visit(address)
        return [client.post("/login", data={"name": name, "password": "wrong"}).status_code for name in names]

    from_one = tries("127.0.0.2", "ann", "bob", "cid")
    at_one = tries("127.0.0.3", "rosa") + tries("127.0.0.4", "ROSA") + tries("127.0.0.5", "rosa ")
    forged = site.visit("127.0.0.2").post(
        "/login", data={"name": "dan", "password": "wrong"}, headers={"x-forwarded-for": "198.51.100.1"}
    )

    assert from_one == [401, 401, 429]
    assert at_one == [401, 401, 429]
    assert forged.status_code == 429
    assert 0 < int(forged.headers["retry-after"]) <= 60
    assert "Too many tries" in forged.text


def test_a_laptop_without_accounts_shows_results_and_says_so(open_site: Any) -> None:
    client = open_site(rate_joins="7/hour").visit()

    assert client.get("/gallery/").status_code == 200
    assert client.get("/dashboard/theme.css").status_code == 200
    assert client.get("/admin", headers=PERSON).status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "arena.example.org"},
        {"host": "127.0.0.1.elsewhere.example"},
        {"x-forwarded-for": "198.51.100.1"},
        {"x-forwarded-host": "arena.example.org"},
        {"forwarded": "for=198.51.100.1"},
        {"x-real-ip": "198.51.100.1"},
    ],
)
def test_a_laptop_shows_results_to_its_own_browser_only(open_site: Any, headers: dict[str, str]) -> None:
    client = open_site(rate_joins="7/hour").visit()

    assert client.get("/gallery/", headers=headers).status_code == 401


@pytest.mark.parametrize("host", ["localhost", "localhost:7860", "127.0.0.1:7860", "[::1]:7860", "[::1]"])
def test_a_laptop_is_known_by_all_its_names(open_site: Any, host: str) -> None:
    client = open_site(rate_joins="7/hour").visit()

    assert client.get("/gallery/", headers={"host": host}).status_code == 200


def test_the_first_account_closes_the_results(open_site: Any) -> None:
    site = open_site(rate_joins="8/hour")
    before = site.visit().get("/gallery/").status_code

    site.add("rosa", Role.RESEARCHER)

    assert (before, site.visit().get("/gallery/").status_code) == (200, 401)


def test_results_can_be_open_to_everyone_and_administration_never_is(open_site: Any) -> None:
    client = open_site(host="0.0.0.0", open_results=True).visit(headers={"host": "arena.example.org"})

    assert client.get("/gallery/").status_code == 200
    assert client.get("/admin").status_code == 401


@pytest.mark.parametrize("settings", [{"host": "0.0.0.0"}, {"trusted_proxies": "192.0.2.1"}, {"open_results": False}])
def test_without_accounts_results_are_closed_where_others_can_come(open_site: Any, settings: dict[str, Any]) -> None:
    site = open_site(**settings)

    page = site.visit().get("/login").text

    assert site.visit().get("/gallery/").status_code == 401
    assert "canvas arena account add" in page
    assert any("canvas arena account add" in sentence for sentence in notices(site.settings))


def test_a_broken_accounts_file_lets_nobody_in_and_stops_the_start(open_site: Any, tmp_path: Any) -> None:
    from arena.accounts import AccountsFileError

    site = open_site(rate_joins="9/hour")
    site.add("rosa", Role.RESEARCHER)
    client = site.log_in("rosa")
    before = client.get("/gallery/").status_code
    site.accounts.path.write_text("{")

    after = client.get("/gallery/").status_code
    login = site.visit().post("/login", data={"name": "rosa", "password": PASSWORD})

    assert (before, after, login.status_code) == (200, 401, 503)
    with pytest.raises(AccountsFileError, match="is no JSON"):
        create_app(site.settings)


PROXY = {"trusted_proxies": "127.0.0.99", "proxy_user_header": "X-Remote-User", "rate_joins": "5/hour"}


@pytest.fixture
def proxied(open_site: Any) -> Any:
    site = open_site(**PROXY)
    site.add("petra", Role.RESEARCHER, password="")
    site.add("adam", Role.ADMIN)
    return site


def test_a_trusted_proxy_says_who_it_is(proxied: Any) -> None:
    proxy = proxied.visit("127.0.0.99")

    researcher, admin = (proxy.get("/admin", headers={"x-remote-user": name}).status_code for name in ("Petra", "adam"))

    assert researcher == 403
    assert admin not in (401, 403)
    assert "log out there" in proxy.get("/login", headers={"x-remote-user": "petra"}).text


@pytest.mark.parametrize("name", ["", "nobody", "adam petra"])
def test_whom_the_proxy_names_without_an_account_is_a_stranger(proxied: Any, name: str) -> None:
    answer = proxied.visit("127.0.0.99").get("/gallery/", headers={"x-remote-user": name})

    assert answer.status_code == 401


def test_anyone_else_writing_the_proxys_header_is_a_stranger(proxied: Any) -> None:
    client = proxied.visit("127.0.0.98")

    headers = {"x-remote-user": "adam", "x-forwarded-for": "127.0.0.99"}

    assert client.get("/admin", headers=headers).status_code == 401


def test_two_names_from_the_proxy_are_none(proxied: Any) -> None:
    client = proxied.visit("127.0.0.99")

    answer = client.get("/gallery/", headers=[("x-remote-user", "petra"), ("x-remote-user", "adam")])

    assert answer.status_code == 401


def test_the_start_says_what_stands_open(tmp_path: Any) -> None:
    laptop = notices(Settings(home=tmp_path))
    opened = notices(Settings(home=tmp_path, host="0.0.0.0", open_results=True))
    bench = notices(Settings(home=tmp_path, rate_limits=False))
    (tmp_path / "accounts.json").write_text('{"accounts": []}')
    in_the_clear = notices(Settings(home=tmp_path, host="0.0.0.0"))

    assert laptop == []
    assert len(opened) == 1
    assert "open to everyone" in opened[0]
    assert any("benchmarks" in sentence for sentence in bench)
    assert any("TLS" in sentence for sentence in in_the_clear)
