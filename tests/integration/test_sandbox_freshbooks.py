"""Lists, reads, errors and visibility of the FreshBooks stand-in, over HTTP."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.freshbooks_api import Api, Body, serving


@pytest.fixture(scope="module")
def shared() -> Iterator[Api]:
    yield from serving()


@pytest.fixture
def api(shared: Api) -> Api:
    """Empty books on a server that all tests share."""
    shared.sandbox.state.reset()
    shared.sandbox.state.freshbooks.clock = shared.sandbox.state.clock
    return shared


def test_create_answers_200_with_defaults_and_eastern_times(api: Api) -> None:
    summer = datetime(2026, 7, 1, 2, 0, tzinfo=UTC)
    api.sandbox.state.freshbooks.clock = lambda: summer
    client = api.one("POST", "users/clients", {"client": {"email": "a@b.example", "no_such_key": 1}})
    assert client["organization"] == "a@b.example"
    assert (client["updated"], client["signup_date"]) == ("2026-06-30 22:00:00", "2026-07-01 02:00:00")
    assert (client["allow_late_fees"], client["currency_code"], client["role"]) == (True, "USD", "client")
    assert client["id"] == client["userid"]
    assert "no_such_key" not in client


def test_paging_caps_silently_and_counts_from_one(api: Api) -> None:
    assert api.listed("users/clients") == {"clients": [], "page": 1, "pages": 0, "per_page": 15, "total": 0}
    for number in range(16):
        api.client(email=f"{number}@b.example")
    assert len(api.listed("users/clients")["clients"]) == 15
    assert api.listed("users/clients?page=0")["page"] == 1
    capped = api.listed("users/clients?per_page=500")
    assert (capped["per_page"], len(capped["clients"]), capped["pages"]) == (100, 16, 1)
    beyond = api.listed("users/clients?page=9&per_page=10")
    assert (beyond["clients"], beyond["page"], beyond["pages"]) == ([], 9, 2)
    assert api.error("GET", "users/clients?page=-1")[1] == 1014
    assert api.error("GET", "users/clients?page=two")[1] == 1014
    assert api.error("GET", "users/clients?per_page=0")[1] == 1013
    assert api.error("GET", "users/clients?per_page=all")[1] == 1013


def test_unknown_filters_return_the_whole_list(api: Api) -> None:
    one = api.client(email="one@b.example", fname="One")
    api.client(email="two@b.example")
    api.invoice(customerid=one)
    for ignored in ("fname", "organization", "external_id"):
        assert api.listed(f"users/clients?search[{ignored}]=nothing")["total"] == 2
    for ignored in ("status", "statusid", "payment_status", "po_number", "create_date_min"):
        assert api.listed(f"invoices/invoices?search[{ignored}]=2099-01-01")["total"] == 1
    assert api.listed("users/clients?search[fname_like]=nothing")["total"] == 0


def test_filters_are_read_raw_and_percent_encoded(api: Api) -> None:
    api.client(email="a+b@c.example")
    base = f"{api.http.base_url}users/clients"
    assert api.listed(f"{base}?search%5Bemail%5D=a%2Bb%40c.example")["total"] == 1
    assert api.listed(f"{base}?search[email]=a%2Bb@c.example")["total"] == 1
    # a raw plus is a space, which is how the official SDKs lose such addresses
    assert api.listed(f"{base}?search[email]=a+b@c.example")["total"] == 0


def test_bad_filter_values_are_refused(api: Api) -> None:
    assert api.error("GET", "invoices/invoices?search[customerid]=x")[1] == 1024
    assert api.error("GET", "invoices/invoices?search[date_min]=yesterday")[1] == 1023
    assert api.error("GET", "invoices/invoices?search[paid]=perhaps")[1] == 1032


def test_email_search_tells_cases_apart_unless_switched() -> None:
    for kind, hits in (("exact", 0), ("casefold", 1)):
        for api in serving(email_search=kind):
            api.client(email="Ana@B.example")
            assert api.listed("users/clients?search[email]=ana@b.example")["total"] == hits
            assert api.listed("users/clients?search[email]=Ana@B.example")["total"] == 1


def test_invoice_filters(api: Api) -> None:
    one, two = api.client(email="1@b.example"), api.client(email="2@b.example")
    first = api.invoice(customerid=one, create_date="2026-01-31", invoice_number="A-1")
    second = api.invoice(customerid=two, create_date="2026-02-01", invoice_number="A-10")
    api.one("PUT", f"invoices/invoices/{second['id']}", {"invoice": {"action_mark_as_sent": True}})
    api.pay(second, "10.00")

    def ids(search: str) -> list[int]:
        return [row["id"] for row in api.listed(f"invoices/invoices?{search}")["invoices"]]

    assert ids(f"search[customerid]={one}") == [first["id"]]
    assert ids(f"search[customerids][]={one}&search[customerids][]={two}") == [first["id"], second["id"]]
    assert ids("search[invoice_number]=A-1") == [first["id"]]
    # from the first day on, up to but without the second
    assert ids("search[date_min]=2026-01-31&search[date_max]=2026-02-01") == [first["id"]]
    assert ids("search[v3_status]=paid") == ids("search[paid]=true") == [second["id"]]
    assert ids("search[outstanding]=1") == [first["id"]]
    assert ids("sort=invoice_date_desc") == [second["id"], first["id"]]
    assert ids("sort=amount_desc") == [first["id"], second["id"]]


def test_payment_filters(api: Api) -> None:
    invoice = api.invoice(invoice_number="A-1")
    small = api.pay(invoice, "2.00", note="clarity:payment:9", type="Check")
    big = api.pay(invoice, "8.00", date="2026-03-01")

    def ids(search: str) -> list[int]:
        return [row["id"] for row in api.listed(f"payments/payments?{search}")["payments"]]

    assert ids(f"search[invoiceid]={invoice['id']}") == [small["id"], big["id"]]
    assert ids("search[invoiceid]=1") == []
    assert ids("search[notes]=payment:9") == ids("search[type]=Check") == [small["id"]]
    assert ids("search[note]=payment:9") == [small["id"], big["id"]]
    assert ids("search[amount_min]=2&search[amount_max]=8") == [small["id"]]
    assert ids("search[date_min]=2026-02-02") == [big["id"]]
    assert ids("search[number]=a-1&search[currency]=USD&search[from_credit]=false") == [small["id"], big["id"]]
    assert ids("search[client_name]=nobody") == []
    assert ids("search[transactionid]=x") == [small["id"], big["id"]]


def test_lists_show_active_and_archived_and_gets_show_deleted(api: Api) -> None:
    active, deleted, archived = (api.client(email=f"{n}@b.example") for n in range(3))
    api.one("PUT", f"users/clients/{deleted}", {"client": {"vis_state": 1}})
    api.one("PUT", f"users/clients/{archived}", {"client": {"vis_state": 2}})

    def ids(search: str) -> list[int]:
        return [row["id"] for row in api.listed(f"users/clients{search}")["clients"]]

    assert ids("") == [active, archived]
    assert ids("?search[vis_state]=0") == [active]
    assert ids("?search[vis_state]=1") == [deleted]
    assert ids("?search[vis_state]=2") == [archived]
    assert api.one("GET", f"users/clients/{deleted}")["vis_state"] == 1
    assert api.error("PUT", f"users/clients/{deleted}", {"client": {"fname": "x"}})[1] == 1011
    assert api.one("PUT", f"users/clients/{deleted}", {"client": {"vis_state": 0}})["vis_state"] == 0
    assert api.error("PUT", f"users/clients/{active}", {"client": {"vis_state": 7}})[:2] == (422, 1004)


def test_invoices_delete_softly_taxes_for_good_clients_not_at_all(api: Api) -> None:
    invoice = api.invoice()
    tax = api.one("POST", "taxes/taxes", {"tax": {"name": "GST", "amount": 5}})
    assert api.call("DELETE", f"invoices/invoices/{invoice['id']}").json() == {"response": {}}
    assert api.one("GET", f"invoices/invoices/{invoice['id']}")["vis_state"] == 1
    assert api.listed("invoices/invoices")["total"] == 0
    assert api.call("DELETE", f"taxes/taxes/{tax['id']}").json() == {"response": {}}
    assert api.error("GET", f"taxes/taxes/{tax['id']}") == (404, 1012, "taxid")
    assert api.error("DELETE", f"users/clients/{invoice['customerid']}")[0] == 405


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("users/clients", {"client": {}}, (422, 1001, "email")),
        ("users/clients", {"customer": {}}, (422, 1001, "client")),
        ("invoices/invoices", {"invoice": {"create_date": "2026-01-31"}}, (422, 1001, "customerid")),
        ("invoices/invoices", {"invoice": {"customerid": 1, "create_date": ""}}, (422, 1001, "create_date")),
        ("invoices/invoices", {"invoice": {"customerid": 1, "create_date": "2026-01-31"}}, (422, 1012, "customerid")),
        ("invoices/invoices", {"invoice": {"customerid": "x", "create_date": "2026-01-31"}}, (422, 1015, "customerid")),
        ("invoices/invoices", {"invoice": {"customerid": 1, "create_date": "31.1.26"}}, (422, 1033, "create_date")),
        ("payments/payments", {"payment": {"invoiceid": 1, "date": "2026-01-31"}}, (422, 1001, "amount")),
        (
            "payments/payments",
            {"payment": {"invoiceid": 1, "amount": "5", "date": "2026-01-31"}},
            (422, 1006, "amount"),
        ),
        ("items/items", {"item": {"sku": "M1"}}, (422, 1001, "name")),
        ("items/items", {"item": {"name": "M", "tax1": 9}}, (422, 1012, "tax1")),
        ("items/items", {"item": {"name": "M", "unit_cost": {"amount": "dear"}}}, (422, 1015, "unit_cost")),
        ("taxes/taxes", {"tax": {"amount": "5"}}, (422, 1001, "name")),
        ("taxes/taxes", {"tax": {"name": "T", "amount": "-5"}}, (422, 1018, "amount")),
        ("taxes/taxes", {"tax": {"name": "T", "compound": "maybe"}}, (422, 1031, "compound")),
        ("credit_notes/credit_notes", {"credit_note": {}}, (422, 1001, "clientid")),
        ("other_incomes/other_incomes", {"other_income": {"date": "2026-01-31"}}, (422, 1001, "amount")),
    ],
)
def test_refused_bodies(api: Api, path: str, body: Body, expected: tuple[int, int, str]) -> None:
    assert api.error("POST", path, body) == expected
    assert api.listed(path)["total"] == 0


def test_required_and_type_messages_read_as_observed(api: Api) -> None:
    invoice = api.invoice()
    missing = api.call("POST", "invoices/invoices", {"invoice": {"customerid": 1}}).json()
    assert missing["response"]["errors"][0]["message"] == "'create_date' is a required field."
    path = f"invoices/invoices/{invoice['id']}"
    worded = api.call("PUT", path, {"invoice": {"status": "sent"}}).json()
    assert worded["response"]["errors"][0]["message"] == "The field 'status' must be a number."
    late = api.call("PUT", path, {"invoice": {"status": 4}}).json()
    assert "must be one of 'draft','sent','viewed' or 'disputed'" in late["response"]["errors"][0]["message"]
    assert api.one("PUT", path, {"invoice": {"status": 2}})["v3_status"] == "overdue"


def test_broken_json_unknown_ids_and_wrong_accounts(api: Api) -> None:
    broken = api.http.post("users/clients", content=b"{", headers={"Content-Type": "application/json"})
    assert (broken.status_code, broken.json()["response"]["errors"][0]["errno"]) == (400, 1005)
    assert api.error("GET", "users/clients/1") == (404, 1012, "userid")
    assert api.error("PUT", "users/clients/x", {"client": {}}) == (404, 1012, "userid")
    assert api.error("GET", "nothing/nothing")[0] == 404
    other = api.call("GET", f"{api.sandbox.freshbooks_url}/accounting/account/OTHER/users/clients")
    assert other.status_code == 404
    assert other.json()["response"]["errors"][0]["message"] == "Account not found."


def test_missing_tokens_get_the_auth_shape(api: Api) -> None:
    expected = {
        "error": "unauthenticated",
        "error_description": "This action requires authentication to continue.",
    }
    for header in ("Bearer wrong", "Basic x", ""):
        refused = api.call("GET", "users/clients", headers={"Authorization": header})
        assert (refused.status_code, refused.json()) == (401, expected)
    new = api.call(
        "GET", "users/clients", headers={"Authorization": "Bearer wrong", "X-API-VERSION": "2023-02-20"}
    ).json()
    assert (new["code"], new["details"][0]["reason"]) == (16, "1003")


def test_errors_change_shape_with_the_version_header(api: Api) -> None:
    headers = {"X-API-VERSION": "2023-02-20"}
    error = api.call("GET", "users/clients/12345", headers=headers).json()
    assert error == {
        "code": 5,
        "message": "Request failed with status_code: 404",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "1012",
                "domain": "accounting.api.freshbooks.com",
                "metadata": {
                    "object": "client",
                    "message": "Client not found.",
                    "value": "12345",
                    "field": "userid",
                },
            }
        ],
    }
