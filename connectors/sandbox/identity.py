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
        "address": {"id": 1, "street": "1 Loopback Road", "city": "Localhost", "country": "United States"},
    }
    return {
        "id": IDENTITY_ID,
        "identity_id": IDENTITY_ID,
        "identity_uuid": "00000000-0000-4000-8000-000000127001",
        "first_name": "Sandra",
        "last_name": "Box",
        "email": "owner@sandbox.example",
        "language": "en",
        "setup_complete": True,
        "confirmed_at": "2020-01-01T00:00:00Z",
        "created_at": "2020-01-01T00:00:00Z",
        "permissions": {account_id: {}},
        # the membership's own id is not the business's
        "business_memberships": [{"id": 815, "role": "owner", "business": business}],
        "roles": [{"id": 1, "role": "admin", "systemid": BUSINESS_ID, "userid": USER_ID, "accountid": account_id}],
    }
