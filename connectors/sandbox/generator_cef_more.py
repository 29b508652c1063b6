"""Orders of the framework that follow from another one: children of a split checkout, its invoice, its return."""

from __future__ import annotations

from connectors.sandbox.generator_cef_parts import (
    STATUSES,
    ZERO,
    amount_of,
    dates_of,
    key_of,
    named,
    pruned,
)
from connectors.sandbox.generator_order import Case, Payload

_SPLITTABLE = ("processing", "shipped", "completed")


def children_of(order: Payload, case: Case) -> tuple[Payload, ...]:
    """Split some plain checkouts of two lines and more by line; changes the master, too."""
    lines = order.get("SalesItems", [])
    plain = case.label == "post" and len(lines) > 1 and not amount_of(case.order["discountTotal"])
    if not plain or key_of(order, "StatusKey") not in _SPLITTABLE or order["ID"] % 3 or "CustomKey" not in order:
        return ()
    group, totals = 800_000 + order["ID"], order["Totals"]
    charges = {name: totals[name] for name in ("Shipping", "Handling", "Fees")}
    children = []
    left_tax = totals["Tax"]
    for position, line in reversed(list(enumerate(lines))):
        # what is no line's own, the shipping's tax too, goes with the first shipment
        first = position == 0
        tax = left_tax if first else line["ExtendedTaxAmount"]
        left_tax -= tax
        own = charges if first else dict.fromkeys(charges, ZERO)
        net = line["ExtendedPrice"].quantize(totals["SubTotal"])
        kept = {key: value for key, value in order.items() if key not in _MASTER_ONLY}
        child = {
            **kept,
            "ID": 900_000 + order["ID"] * 10 + position,
            "CustomKey": f"{order['CustomKey']}-{position + 1}",
            **named("Type", 4, "Sales Order Child"),
            "SalesItems": [{**line, "ID": line["ID"] + 9_000_000}],
            "Totals": {
                "SubTotal": net,
                **own,
                "Tax": tax,
                "Discounts": ZERO,
                "Total": net + sum(own.values(), ZERO) + tax,
            },
            "SalesGroupAsSubID": group,
        }
        children.append(child)
    order |= {**named("Status", STATUSES.index("Split") + 1, "Split"), "StatusDisplayName": "Split"}
    order["SalesGroupAsMasterID"] = group
    return tuple(reversed(children))


_MASTER_ONLY = frozenset({"SalesOrderPayments", "PaymentTransactionID", "BalanceDue", "RateQuotes", "Discounts"})


def invoice_of(order: Payload) -> Payload:
    """The framework's own invoice of a completed order."""
    due = order.get("BalanceDue", ZERO)
    status = "Paid" if not due else "Unpaid" if due == order["Totals"]["Total"] else "Partially Paid"
    kept = {key: value for key, value in order.items() if not key.startswith(("SalesGroup", "SalesOrderPayments"))}
    return {
        **kept,
        "ID": 400_000 + order["ID"],
        "CustomKey": f"INV-{order['ID']}",
        **named("Status", 1, status),
        "StatusDisplayName": status,
    }


def return_of(order: Payload) -> Payload:
    number = 500_000 + order["ID"]
    relation = {"ID": number, "MasterID": number, "MasterKey": f"RMA-{number}", "SlaveID": order["ID"]}
    first = order["SalesOrderPayments"][0]["Slave"]
    return pruned(
        {
            "ID": number,
            "CustomKey": f"RMA-{number}",
            "Active": True,
            **dates_of(order),
            "SalesOrderIDs": [order["ID"]],
            "AssociatedSalesOrders": [{**relation, "SlaveKey": order.get("CustomKey")}],
            "RefundAmount": order["Totals"]["Total"],
            "RefundTransactionID": f"re_{first['ID']}",
            **named("Status", 6, "Completed"),
            "Totals": dict(order["Totals"]),
            "SalesItems": [
                {**line, "SalesReturnReasonKey": "Damaged", "RestockingFeeAmount": ZERO}
                for line in order.get("SalesItems", [])
            ],
            "StoreKey": order["StoreKey"],
        }
    )
