"""Who is signed in at the FreshBooks stand-in: one owner of one business. Nobody real."""

from __future__ import annotations

from connectors.sandbox.wire import JsonObject

BUSINESS_ID = 4711
IDENTITY_ID = 127001
USER_ID = 1  # of the owner within the business


def identity(account_id: str) -> JsonObject:
    """The answer of `users/me`, without its outer layer."""
    business = {
        "id": BUSINESS_ID,
        "business_uuid": "00000000-0000-4000-8000-000000004711",
        "name": "Sandbox",
        "account_id": account_id,
        "timezone": "US/Eastern",
        "date_format": "yyyy-mm-dd",
        "address": {
            "id": 1,
            "street": "1 Loopback Road",
            "city": "Localhost",
            "province": "",
            "country": "United States",
            "postal_code": "00000",
        },
        "phone_number": None,
        "business_clients": [],
    }
    return {
        "id": IDENTITY_ID,
        "identity_id": IDENTITY_ID,
        "identity_uuid": "00000000-0000-4000-8000-000000127001",
        "first_name": "Sandra",
        "last_name": "Box",
        "email": "owner@sandbox.example",
        "language": "en",
        "phone_numbers": [{"title": "", "phone_number": None}],
        "addresses": [None],
        "profession": None,
        "setup_complete": True,
        "confirmed_at": "2020-01-01T00:00:00Z",
        "created_at": "2020-01-01T00:00:00Z",
        "permissions": {account_id: {}},
        "subscription_statuses": {account_id: "active"},
        "groups": [
            {
                "id": 1,
                "group_id": 1,
                "role": "owner",
                "identity_id": IDENTITY_ID,
                "business_id": BUSINESS_ID,
                "active": True,
            }
        ],
        "links": {"me": f"/service/auth/api/v1/users?id={IDENTITY_ID}"},
        # the membership's own id is not the business's
        "business_memberships": [{"id": 815, "role": "owner", "business": business}],
        "roles": [
            {
                "id": 1,
                "role": "admin",
                "systemid": BUSINESS_ID,
                "userid": USER_ID,
                "created_at": "2020-01-01T00:00:00Z",
                "accountid": account_id,
            }
        ],
    }
