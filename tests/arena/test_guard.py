"""The guard: only what the pages need stands open, other sites may not post, and every answer carries the headers."""

from typing import Any

import httpx
import pytest

CLOSED = [
    "/rate/config",
    "/rate/gradio_api/info",
    "/rate/gradio_api/openapi.json",
    "/rate/gradio_api/file=http://example.org/",
    "/rate/gradio_api/file=/etc/passwd",
    "/rate/gradio_api/proxy=http://example.org/",
    "/rate/gradio_api/queue/data",
    "/rate/gradio_api/upload_progress",
    "/rate/monitoring",
    "/rate/monitoring/summary",
    "/rate/login_check",
    "/rate/token",
    "/rate/app_id",
    "/rate/dev/reload",
    "/rate/svelte/x",
    "/rate/static/../config",
    "/rate/static/%2e%2e/config",
    "/rate//config",
    "/rate/image/",
    "/rate/image/a/b",
    "/rate/?deep_link=x",
    "/dashboard/config",
    "/dashboard/gradio_api/info",
    "/dashboard/gradio_api/file=http://example.org/",
    "/dashboard/gradio_api/file/etc/passwd",
    "/dashboard/gradio_api/stream/a/b/c/playlist.m3u8",
    "/dashboard/gradio_api/vibe-code",
    "/dashboard/gradio_api/deep_link",
    "/dashboard/gradio_api/call/draw/1",
    "/dashboard/pwa_icon",
    "/docs",
    "/redoc",
    "/openapi.json",
    "/gradio_api/info",
]
CLOSED_POSTS = [
    "/rate/gradio_api/upload",
    "/rate/gradio_api/queue/join",
    "/dashboard/gradio_api/upload",
    "/dashboard/gradio_api/run/draw",
    "/dashboard/gradio_api/api/draw",
    "/dashboard/gradio_api/call/draw",
    "/dashboard/gradio_api/component_server",
    "/dashboard/gradio_api/process_recording",
    "/dashboard/gradio_api/vibe-edit",
    "/dashboard/login",
    "/rate/api/other",
    "/rate/image/other",
    "/dashboard/",
]


@pytest.fixture
def http(site: Any) -> Any:
    with httpx.Client(base_url=site.address) as client:
        yield client


@pytest.mark.parametrize("path", CLOSED)
def test_gradios_other_routes_are_as_if_not_there(http: httpx.Client, path: str) -> None:
    answer = http.get(path)

    assert answer.status_code == 404
    assert answer.json()["error"] == "There is nothing at this address."


@pytest.mark.parametrize("path", CLOSED_POSTS)
def test_nothing_else_takes_posts(http: httpx.Client, path: str) -> None:
    assert http.post(path, json={}).status_code in (404, 405)


@pytest.mark.parametrize("path", ["/", "/gallery/", "/rate/", "/dashboard/", "/favicon.ico", "/manifest.json"])
def test_pages_answer_with_security_headers(http: httpx.Client, path: str) -> None:
    answer = http.get(path)

    assert answer.status_code == 200
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "default-src" in answer.headers["content-security-policy"]


def test_our_own_pages_run_no_inline_script(http: httpx.Client) -> None:
    policy = http.get("/").headers["content-security-policy"]

    assert "unsafe" not in policy


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://elsewhere.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://127.0.0.1:1", "sec-fetch-site": "same-origin"},
    ],
)
def test_posts_from_other_sites_are_refused(http: httpx.Client, headers: dict[str, str]) -> None:
    answer = http.post("/rate/api/join", json={"study": "any"}, headers=headers)

    assert answer.status_code == 403
    assert "another site" in answer.json()["error"]


def test_posts_from_the_page_itself_pass(site: Any, http: httpx.Client) -> None:
    headers = {"origin": site.address, "sec-fetch-site": "same-origin"}

    answer = http.post("/rate/api/join", json={"study": "no-such-study"}, headers=headers)

    assert answer.status_code == 404


def test_a_large_body_and_one_of_unknown_length_are_refused(http: httpx.Client) -> None:
    large = http.post("/rate/api/join", json={"study": "x" * 70_000})
    unknown = http.post("/rate/api/join", content=iter([b"{}"]), headers={"content-type": "application/json"})

    assert (large.status_code, unknown.status_code) == (413, 411)


def test_missing_pages_are_html_for_people_and_json_for_programs(http: httpx.Client) -> None:
    page = http.get("/nowhere", headers={"accept": "text/html"})
    value = http.get("/nowhere")

    assert (page.status_code, value.status_code) == (404, 404)
    assert "Nothing here" in page.text
    assert set(value.json()) == {"error"}


def test_the_icons_take_no_file_names_from_the_address(http: httpx.Client) -> None:
    answer = http.get("/favicon.ico?name=../../../../etc/passwd&media_type=text/plain")

    assert answer.headers["content-type"].startswith("image/svg+xml")
    assert answer.text.startswith("<svg")


def test_the_addresses_of_assets_do_not_lead_out_of_their_folder(http: httpx.Client) -> None:
    assert http.get("/assets/house.css").status_code == 200
    assert http.get("/assets/..%2ftemplates/home.html").status_code == 404
    assert http.get("/assets/../templates/home.html").status_code == 404
