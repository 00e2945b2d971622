"""Logging in with a real browser: without JavaScript, by keyboard, on a phone; and the dashboard behind it works."""

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

pytestmark = [
    pytest.mark.browser,
    # Gradio 6.17 uses a name that Starlette has renamed; see gradio/routes.py, queue_join.
    pytest.mark.filterwarnings("ignore:'HTTP_422_UNPROCESSABLE_ENTITY' is deprecated"),
]
PASSWORD = "four words in a row"


@pytest.fixture
def at_login(closed_site: Any, visit: Any) -> Callable[..., Any]:
    """Opens the login page as someone who wanted to see the gallery."""
    return lambda **window: visit(f"{closed_site.address}/gallery/", **window)


def faults(page: Any) -> list[str]:
    return [f"{fault['id']}: {fault['nodes'][0]['html']}" for fault in Axe().run(page).response["violations"]]


def test_one_logs_in_by_keyboard_and_out_again(closed_site: Any, at_login: Any) -> None:
    found = at_login()
    page = found.page
    where = page.url
    # A person sees the caret in the field before typing.
    page.wait_for_function("document.activeElement.name === 'name'")

    page.keyboard.type("rosa")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/gallery/")
    inside = page.inner_text("h1")
    page.click("text=Account")
    account = page.inner_text("main")
    page.click("text=Log out")
    page.wait_for_url(f"{closed_site.address}/")

    assert where == f"{closed_site.address}/login?next=%2Fgallery%2F"
    assert inside == "No gallery yet"
    assert "rosa" in account
    assert "a researcher" in account
    assert page.goto(f"{closed_site.address}/gallery/").url.startswith(f"{closed_site.address}/login")
    assert found.errors == []
    assert found.hosts == {closed_site.address.removeprefix("http://")}


def test_without_javascript_it_works_too(closed_site: Any, at_login: Any) -> None:
    page = at_login(java_script_enabled=False).page

    page.fill("input[name=name]", "adam")
    page.fill("input[name=password]", PASSWORD)
    page.click("button")
    page.wait_for_url("**/gallery/")

    assert page.inner_text("h1") == "No gallery yet"


def test_a_wrong_password_is_said_where_one_is_and_the_name_stays(at_login: Any) -> None:
    found = at_login()
    page = found.page

    page.fill("input[name=name]", "rosa")
    page.fill("input[name=password]", "not the password")
    page.click("button")
    page.wait_for_selector("[role=alert]")

    assert page.inner_text("[role=alert]") == "Name and password do not fit together. Check both and try again."
    assert page.title().startswith("Not logged in")
    assert page.input_value("input[name=name]") == "rosa"
    assert page.input_value("input[name=password]") == ""
    assert page.evaluate("document.activeElement.name") == "password"
    assert page.evaluate("document.activeElement.getAttribute('aria-describedby')") == "login-problem"
    assert faults(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_the_page_is_accessible(at_login: Any, scheme: str, width: int) -> None:
    page = at_login(width=width, color_scheme=scheme).page

    found = faults(page)

    assert found == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.get_attribute("#login-name", "autocomplete") == "username"
    assert page.get_attribute("#login-password", "autocomplete") == "current-password"
    assert page.inner_text("label[for=login-password]") == "Password"


def test_the_account_page_is_accessible(closed_site: Any, visit: Any) -> None:
    page = logged_in(closed_site, visit, "/login").page

    assert page.inner_text("h1") == "rosa"
    assert faults(page) == []


def test_the_dashboard_lives_behind_the_login(closed_site: Any, visit: Any) -> None:
    found = logged_in(closed_site, visit, "/dashboard/")

    found.page.wait_for_selector("#results h1")

    assert found.errors == []
    assert [answer.url for answer in found.responses if answer.status >= 400] == []
    assert any("/gradio_api/queue/join" in answer.url for answer in found.responses)


def test_the_first_page_offers_results_to_those_who_may_read_them(closed_site: Any, visit: Any) -> None:
    stranger = visit(f"{closed_site.address}/").page
    inside = logged_in(closed_site, visit, "/").page

    links = [page.locator("nav a").all_inner_texts() for page in (stranger, inside)]

    assert links == [["Studies", "Log in"], ["Studies", "Results", "Gallery", "Metrics", "rosa"]]
    assert faults(stranger) == []


def logged_in(site: Any, visit: Any, path: str) -> Any:
    """A window in which rosa has logged in, at that page."""
    found = visit(f"{site.address}/login?next={path}")
    found.page.fill("input[name=name]", "rosa")
    found.page.fill("input[name=password]", PASSWORD)
    found.page.click("button")
    found.page.wait_for_url(f"{site.address}{path}")
    return found


def test_the_dashboard_leads_admins_to_the_administration_and_researchers_not(closed_site: Any, visit: Any) -> None:
    found = {}
    for name in ("adam", "rosa"):
        session = closed_site.log_in(name).cookies
        window = visit(f"{closed_site.address}/healthz")
        window.page.context.add_cookies(
            [{"name": cookie.name, "value": cookie.value, "url": closed_site.address} for cookie in session.jar]
        )
        window.page.goto(f"{closed_site.address}/dashboard/")
        window.page.wait_for_selector("#results h1")
        found[name] = window.page.inner_text("#top nav")

    assert "Administration" in found["adam"]
    assert "Administration" not in found["rosa"]
    assert "Metrics" in found["rosa"]
