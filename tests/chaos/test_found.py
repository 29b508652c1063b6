"""What the chaos suite has found, each as small as it gets."""

from __future__ import annotations

from tests.flows import Books, envelope, order


def test_a_customers_change_counts_though_it_is_older_than_the_order_that_made_the_client(books: Books) -> None:
    """An order's `updatedAt` says nothing about its customer: the change's webhook was lost, and polling brought it."""
    sold = order(updatedAt="2026-03-09T00:00:00Z")
    books.run(envelope("order.created", sold))
    changed = {
        **sold["customer"],
        "billingAddress": {**sold["billingAddress"], "line2": "Suite 9"},
        "currency": "USD",
        "updatedAt": "2026-03-08T00:00:00Z",
    }
    books.run(envelope("customer.updated", changed))
    assert [row["p_street2"] for row in books.table("client")] == ["Suite 9"]
    before = {**changed, "billingAddress": sold["billingAddress"], "updatedAt": "2026-03-07T00:00:00Z"}
    books.run(envelope("customer.updated", before))
    assert [row["p_street2"] for row in books.table("client")] == ["Suite 9"]
